// npm's mailparser: a message in base64 a line on standard input, what it finds in it as a line of JSON on standard output.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.env.PEER_PACKAGES);
const { simpleParser } = require('mailparser');

// What it would make up by itself (text of HTML, HTML of text, links to images) is left out: the parts are compared.
const options = { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true, skipTextLinks: true };

function boxes(field) {
  return (field?.value ?? []).map(({ name, address }) => [name, address]);
}

function found(mail) {
  return {
    subject: mail.subject ?? '',
    from: boxes(mail.from),
    to: boxes(mail.to),
    cc: boxes(mail.cc),
    reply_to: boxes(mail.replyTo),
    message_id: mail.messageId,
    date_s: mail.date.getTime() / 1000,
    text: mail.text ?? '',
    html: mail.html || '',
    files: mail.attachments.map((file) => ({
      name: file.filename ?? '',
      type: file.contentType,
      inline: file.contentDisposition === 'inline',
      related: Boolean(file.related),
      id: file.cid ?? '',
      data: file.content.toString('base64'),
    })),
    lines: mail.headerLines.map(({ key, line }) => [key, line]),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const mail = await simpleParser(Buffer.from(line, 'base64'), options);
  process.stdout.write(JSON.stringify(found(mail)) + '\n');
}
