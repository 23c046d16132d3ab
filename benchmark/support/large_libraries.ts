/**
 * Sources of what the large application shares: the libraries that its controllers and services require, its extends
 * and its middleware. Pure.
 */
import type { Sources } from './large_sources';

const PAGING = `'use strict';

const DEFAULT_SIZE = 20;
const LARGEST_SIZE = 200;

/** Reads page and size of a query, within their limits. */
exports.pageOf = function pageOf(query) {
  const page = Math.max(1, Number.parseInt(query.page, 10) || 1);
  const size = Math.min(LARGEST_SIZE, Math.max(1, Number.parseInt(query.size, 10) || DEFAULT_SIZE));
  return { page, size, offset: (page - 1) * size };
};

exports.slice = function slice(rows, { page, size, offset }) {
  return { page, size, total: rows.length, items: rows.slice(offset, offset + size) };
};
`;

const MONEY = `'use strict';

const UNITS = { CNY: 2, USD: 2, EUR: 2, JPY: 0 };

exports.format = function format(cents, currency = 'CNY') {
  const digits = UNITS[currency] === undefined ? 2 : UNITS[currency];
  return \`\${(cents / 10 ** digits).toFixed(digits)} \${currency}\`;
};

exports.sum = function sum(rows, field) {
  return rows.reduce((total, row) => total + (row[field] || 0), 0);
};

exports.share = function share(cents, parts) {
  const part = Math.floor(cents / parts);
  return Array.from({ length: parts }, (_, index) => (index === 0 ? cents - part * (parts - 1) : part));
};
`;

const RULES = `'use strict';

const utility = require('utility');

const CHECKS = {
  string: value => typeof value === 'string' && value.length > 0,
  number: value => Number.isFinite(value),
  integer: value => Number.isSafeInteger(value),
  boolean: value => typeof value === 'boolean',
  list: value => Array.isArray(value),
};

/** The first field that is not what its rule wants; undefined where all are. */
exports.firstProblem = function firstProblem(rules, values) {
  for (const [ field, type ] of Object.entries(rules)) {
    const optional = type.endsWith('?');
    if (optional && values[field] === undefined) continue;
    if (!CHECKS[optional ? type.slice(0, -1) : type](values[field])) return \`\${field} has to be a \${type}\`;
  }
  return undefined;
};

exports.clean = value => utility.escape(String(value)).trim();
`;

const DATES = `'use strict';

const ms = require('ms');

const DAY_MS = ms('1 day');

exports.dayOf = at => new Date(at).toISOString().slice(0, 10);

exports.daysBetween = (from, to) => Math.round((to - from) / DAY_MS);

exports.rangeOf = function rangeOf(query, now) {
  const span = ms(query.span || '7 days') || DAY_MS;
  return { from: now - span, to: now };
};
`;

const IDENTIFIERS = `'use strict';

const utility = require('utility');

let last = 0;

exports.next = function next(prefix) {
  last += 1;
  return \`\${prefix}-\${String(last).padStart(8, '0')}\`;
};

exports.signed = (id, key) => \`\${id}.\${utility.md5(\`\${id}:\${key}\`).slice(0, 8)}\`;
`;

const STORE = `'use strict';

/** Rows in memory: what a database would answer, without one. */
module.exports = class Store {
  constructor(name, fields) {
    this.name = name;
    this.fields = fields;
    this.rows = new Map();
  }

  find(id) {
    return this.rows.get(id);
  }

  all(filter) {
    const rows = [ ...this.rows.values() ];
    return filter === undefined ? rows : rows.filter(filter);
  }

  save(id, values) {
    const row = { id };
    for (const field of this.fields) if (values[field] !== undefined) row[field] = values[field];
    this.rows.set(id, row);
    return row;
  }

  remove(id) {
    return this.rows.delete(id);
  }
};
`;

const CONTEXT = `'use strict';

const OPERATOR = Symbol('Context#operator');

module.exports = {
  get operator() {
    if (!this[OPERATOR]) this[OPERATOR] = this.get('x-operator') || 'nobody';
    return this[OPERATOR];
  },

  success(data) {
    this.body = { success: true, data };
  },

  failure(status, message) {
    this.status = status;
    this.body = { success: false, message };
  },
};
`;

const HELPER = `'use strict';

const money = require('../../lib/money');

module.exports = {
  price: cents => money.format(cents),

  truncate(text, length) {
    return text.length <= length ? text : \`\${text.slice(0, length - 1)}…\`;
  },
};
`;

const TIMING = `'use strict';

module.exports = () => async function timing(ctx, next) {
  const startedAt = Date.now();
  await next();
  ctx.set('x-duration', String(Date.now() - startedAt));
};
`;

const NOT_FOUND = `'use strict';

module.exports = () => async function notFoundJson(ctx, next) {
  await next();
  if (ctx.status === 404 && !ctx.body) ctx.failure(404, 'there is no such page');
};
`;

/** By their paths in the application. */
export function librarySources(): Sources {
  return new Map([
    ['lib/paging.js', PAGING],
    ['lib/money.js', MONEY],
    ['lib/rules.js', RULES],
    ['lib/dates.js', DATES],
    ['lib/identifiers.js', IDENTIFIERS],
    ['lib/store.js', STORE],
    ['app/extend/context.js', CONTEXT],
    ['app/extend/helper.js', HELPER],
    ['app/middleware/timing.js', TIMING],
    ['app/middleware/not_found_json.js', NOT_FOUND],
  ]);
}
