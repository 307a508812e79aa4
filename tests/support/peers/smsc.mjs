// An SMSC on npm's `smpp`, for tests: it takes what is submitted, behaves as the destination's number says, and does
// what it is told over a control port: a line of JSON in, a line of JSON out, one a connection.
//
// A number is `49151`, two digits of behaviour, and five of the tests' own. Answers that are scripted go first.

import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import net from 'node:net'

const require = createRequire(process.env.PEER_PACKAGES)
const smpp = require('smpp')

const BEHAVIOURS = {
  '00': 0,
  '01': smpp.ESME_RSYSERR,
  '02': smpp.ESME_RINVDSTADR,
  '03': smpp.ESME_RX_P_APPN,
  '04': smpp.ESME_RTHROTTLED,
  '05': 'hang',
  '06': 'drop',
}

const [key, cert] = process.argv.slice(2)
const state = { messages: [], binds: [], enquiries: 0, unbinds: 0, mostUnanswered: 0, answered: [] }
const sessions = new Set()
const parts = new Map()
const waiters = new Set()
let held = []
let script = []
let mute = false
let refuse = 0
let hold = false
let released = false
let ids = 0
let named = [] // the next ones

function changed() {
  for (const waiter of [...waiters]) waiter()
}

function until(condition) {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return
      waiters.delete(look)
      resolve()
    }
    waiters.add(look)
    look()
  })
}

// What a handset would do: put the segments of a reference together, once all of them are there.
function assemble(pdu) {
  const { message, udh } = pdu.short_message
  const concatenated = (udh ?? []).find((element) => element[0] === 0)
  if (!concatenated) return { text: message, count: 1 }
  const [, , reference, total, number] = concatenated
  const name = `${pdu.destination_addr}/${reference}`
  const found = parts.get(name) ?? new Map()
  parts.set(name, found.set(number, message))
  if (found.size < total) return null
  parts.delete(name)
  return { text: Array.from({ length: total }, (_, at) => found.get(at + 1)).join(''), count: total }
}

function record(pdu, id) {
  const whole = assemble(pdu)
  if (!whole) return
  const until = pdu.validity_period
  state.messages.push({
    to: pdu.destination_addr,
    toKind: [pdu.dest_addr_ton, pdu.dest_addr_npi],
    from: pdu.source_addr,
    fromKind: [pdu.source_addr_ton, pdu.source_addr_npi],
    text: whole.text,
    segments: whole.count,
    coding: pdu.data_coding,
    registered: pdu.registered_delivery,
    service: pdu.service_type,
    reference: pdu.user_message_reference,
    lifetime_s: until instanceof Date ? (until.getTime() - Date.now()) / 1000 : null,
    id,
  })
}

function onSubmit(session, pdu) {
  session.unanswered += 1
  state.mostUnanswered = Math.max(state.mostUnanswered, session.unanswered)
  let answer = script.length ? script.shift() : BEHAVIOURS[pdu.destination_addr.slice(5, 7)]
  if (hold && answer === 0) answer = 'hang'
  const id = named.shift() ?? `m${(ids += 1)}`
  if (typeof answer === 'string' || answer === 0) record(pdu, id)
  const respond = () => {
    session.unanswered -= 1
    session.send(pdu.response(answer > 0 ? { command_status: answer } : { message_id: id }))
  }
  if (answer === 'drop') session.destroy()
  else if (answer === 'nack') session.generic_nack({ sequence_number: pdu.sequence_number, command_status: 3 })
  else if (answer === 'hang' && !released) held.push(respond)
  else respond()
  changed()
}

function onSession(session) {
  session.unanswered = 0
  session.on('error', () => session.destroy())
  session.on('close', () => {
    sessions.delete(session)
    changed()
  })
  session.on('bind_transceiver', (pdu) => {
    state.binds.push({ system_id: pdu.system_id, system_type: pdu.system_type, version: pdu.interface_version })
    changed()
    if (mute) return
    const wrong = pdu.system_id !== 'clarion' || pdu.password !== 'right'
    const status = refuse || (wrong ? smpp.ESME_RINVPASWD : 0)
    session.send(pdu.response(status ? { command_status: status } : { system_id: 'smsc' }))
    if (!status) sessions.add(session)
    changed()
  })
  session.on('submit_sm', (pdu) => onSubmit(session, pdu))
  session.on('enquire_link', (pdu) => {
    state.enquiries += 1
    if (!mute) session.send(pdu.response())
    changed()
  })
  session.on('unbind', (pdu) => {
    state.unbinds += 1
    session.send(pdu.response())
    session.close()
    changed()
  })
}

const asked = (command, options) =>
  new Promise((resolve) => [...sessions].at(-1)[command](options, (pdu) => resolve(pdu.command_status)))

const ORDERS = {
  state: () => ({ ...state, sessions: sessions.size, held: held.length }),
  script: (answers) => void script.push(...answers),
  ids: (next) => void named.push(...next),
  mute: (on) => void (mute = on),
  refuse: (status) => void (refuse = status),
  hold: (on) => void (hold = on),
  release: () => {
    released = true
    hold = false
    for (const respond of held.splice(0)) respond()
  },
  drop: () => sessions.forEach((session) => session.destroy()),
  wait: async (wanted) => {
    const reached = () => Object.entries(wanted).every(([name, least]) => figures[name]() >= least)
    await until(reached)
  },
  waitSessions: (count) => until(() => sessions.size === count),
  deliver: (options) => asked('deliver_sm', options),
  enquire: () => asked('enquire_link', {}),
  unbind: () => asked('unbind', {}),
  octets: (text) => void [...sessions].at(-1).socket.write(Buffer.from(text, 'hex')),
  earlyReceipt: (options) => {
    // Together with the next answer to a bind, in one segment.
    const first = (session) =>
      session.once('bind_transceiver', (pdu) => {
        const receipt = new smpp.PDU('deliver_sm', { ...options, sequence_number: 77 })
        session.removeAllListeners('bind_transceiver')
        session.on('deliver_sm_resp', (response) => {
          state.answered.push(response.command_status)
          changed()
        })
        sessions.add(session)
        session.socket.write(Buffer.concat([pdu.response({ system_id: 'smsc' }).toBuffer(), receipt.toBuffer()]))
        changed()
      })
    for (const server of servers) server.once('session', (session) => first(session))
  },
}

const figures = {
  messages: () => state.messages.length,
  binds: () => state.binds.length,
  held: () => held.length,
  enquiries: () => state.enquiries,
  unbinds: () => state.unbinds,
  answered: () => state.answered.length,
}

const control = net.createServer((socket) => {
  let line = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', async (data) => {
    line += data
    if (!line.endsWith('\n')) return
    const [[order, value]] = Object.entries(JSON.parse(line))
    const answer = await ORDERS[order](value)
    socket.end(JSON.stringify(answer ?? null) + '\n')
  })
})

const servers = [
  smpp.createServer(onSession),
  smpp.createServer({ key: readFileSync(key), cert: readFileSync(cert) }, onSession),
]

const listening = (server) =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))

for (const server of servers) server.on('error', () => {})
servers[1].on('tlsClientError', () => {})
const [port, tlsPort, controlPort] = await Promise.all([...servers, control].map(listening))
console.log(JSON.stringify({ port, tls_port: tlsPort, control: controlPort }))
process.stdin.on('end', () => process.exit(0)).resume()
