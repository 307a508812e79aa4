// An order as a message: Handlebars compiled once, Intl for prices and dates with every formatter made once.

import { readFileSync } from 'node:fs';

import Handlebars from 'handlebars';

const campaign = JSON.parse(readFileSync(process.env.PEER_CAMPAIGN, 'utf8'));
const RIGHT_TO_LEFT = ['ar', 'he'];
const FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

// Making a formatter costs far more than using it: MDN advises to keep them.
const formatters = new Map();

function kept(key, make) {
  let found = formatters.get(key);
  if (!found) formatters.set(key, (found = make()));
  return found;
}

// Latin digits and the Gregorian calendar in every locale, as Babel writes them.
const tag = (locale) => `${locale}-u-ca-gregory-nu-latn`;

Handlebars.registerHelper({
  money(value, currency, { data }) {
    const { locale } = data.root;
    const make = () => new Intl.NumberFormat(tag(locale), { style: 'currency', currency });
    return kept(`${locale} ${currency}`, make).format(value);
  },
  number(value, { data }) {
    const { locale } = data.root;
    return kept(`${locale} number`, () => new Intl.NumberFormat(tag(locale))).format(value);
  },
  // The day at the value's own offset, which stands in its text.
  date(value, style, { data }) {
    const { locale } = data.root;
    const make = () => new Intl.DateTimeFormat(tag(locale), { dateStyle: style, timeZone: 'UTC' });
    return kept(`${locale} date ${style}`, make).format(Date.parse(`${value.slice(0, 10)}T00:00:00Z`));
  },
  fill: (text, value) => text.replace('%s', () => value),
  negative: (value) => -value,
});

const template = (name, options) =>
  Handlebars.compile(readFileSync(new URL(`templates/${name}.hbs`, import.meta.url), 'utf8'), options);
const subject = template('subject', { noEscape: true });
const text = template('body.txt', { noEscape: true });
const html = template('body.html');

/** The mail for one order, as nodemailer takes it. */
export function mailOf(order) {
  const values = { ...campaign.defaults, ...order.context, locale: order.locale, font: FONT };
  const language = order.locale.slice(0, 2);
  values.language = language in values.phrases ? language : 'en';
  values.words = values.phrases[values.language];
  values.customer = order.profile.first_name ?? values.ship_to.name;
  const leftward = RIGHT_TO_LEFT.includes(values.language);
  [values.direction, values.start, values.end] = leftward ? ['rtl', 'right', 'left'] : ['ltr', 'left', 'right'];
  return {
    from: campaign.sender,
    replyTo: campaign.reply_to,
    to: order.addresses.email,
    subject: subject(values),
    text: text(values),
    html: html(values),
  };
}
