/**
 * Sources of the large application's controllers, services, routes and functions: as many as one team's monolith has,
 * each written from the same few patterns with names, fields and limits of its own, so that no two files are alike.
 * Pure.
 */

/** Texts of files by their paths in the application. */
export type Sources = ReadonlyMap<string, string>;

/** What one controller, one service and one route are about. */
export interface Subject {
  readonly index: number;
  readonly area: string;
  readonly entity: string;
}

const AREAS = [
  'account', 'billing', 'cart', 'catalog', 'content', 'coupon', 'customer', 'delivery', 'finance', 'inventory',
  'marketing', 'message', 'order', 'partner', 'payment', 'price', 'product', 'report', 'supplier', 'warehouse',
];
const ENTITIES = [
  'address', 'approval', 'attachment', 'balance', 'batch', 'channel', 'comment', 'contract', 'detail', 'draft',
  'event', 'history', 'invoice', 'label', 'limit', 'note', 'option', 'profile', 'quota', 'record',
  'rule', 'schedule', 'status', 'summary', 'template',
];
const FIELDS = ['title', 'owner', 'amount', 'currency', 'priority', 'remark', 'source', 'region', 'weight', 'reference', 'category', 'channel'];
const STATES = ['draft', 'open', 'approved', 'rejected', 'closed', 'archived'];

/** 500 of them: every entity of every area. */
export const SUBJECTS: readonly Subject[] = AREAS.flatMap((area, i) => ENTITIES.map((entity, j) => ({ index: i * ENTITIES.length + j, area, entity })));

/** `index` rotates the list: neighbours get other fields, and each file its own. */
function pick(list: readonly string[], index: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => list[(index * 5 + i) % list.length] as string);
}

function classOf({ area, entity }: Subject): string {
  return [area, entity].map((word) => (word[0] as string).toUpperCase() + word.slice(1)).join('');
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(', ');

export function controllerSource(subject: Subject): string {
  const { index, area, entity } = subject;
  const [first, second, third] = pick(FIELDS, index, 3) as [string, string, string];
  // Every second one checks its input with the shared rules, every third one pages: not all files require the same.
  const checks = index % 2 === 0;
  const pages = index % 3 === 0;
  const validate = checks ? `const problem = rules.firstProblem(RULES, body);\n    if (problem !== undefined) return ctx.failure(422, problem);` : `if (body.${first} === undefined) return ctx.failure(422, '${first} is missing');`;
  return `'use strict';

const { Controller } = require('egg');
${checks ? "const rules = require('../../../lib/rules');\n" : ''}${pages ? "const paging = require('../../../lib/paging');\n" : ''}
${checks ? `const RULES = { ${first}: 'string', ${second}: 'string?', ${third}: 'number?' };\n` : ''}const STATES = [ ${quoted(pick(STATES, index, 3))} ];

/** Answers for the ${entity} of a ${area}. */
module.exports = class ${classOf(subject)}Controller extends Controller {
  async index() {
    const { ctx } = this;
    const rows = await ctx.service.${area}.${entity}.list({ state: ctx.query.state, owner: ctx.query.owner });
    ctx.success(${pages ? 'paging.slice(rows, paging.pageOf(ctx.query))' : `rows.slice(0, ${20 + (index % 7) * 10})`});
  }

  async show() {
    const { ctx } = this;
    const row = await ctx.service.${area}.${entity}.find(ctx.params.id);
    if (row === undefined) return ctx.failure(404, \`there is no ${entity} \${ctx.params.id}\`);
    ctx.success(row);
  }

  async create() {
    const { ctx } = this;
    const { body } = ctx.request;
    ${validate}
    ctx.status = 201;
    ctx.success(await ctx.service.${area}.${entity}.create({ ...body, owner: ctx.operator, state: STATES[0] }));
  }

  async update() {
    const { ctx } = this;
    const { state } = ctx.request.body;
    if (state !== undefined && !STATES.includes(state)) return ctx.failure(422, \`state has to be one of \${STATES}\`);
    const row = await ctx.service.${area}.${entity}.update(ctx.params.id, ctx.request.body);
    this.logger.info('[${area}.${entity}] %s updated by %s', ctx.params.id, ctx.operator);
    ctx.success(row);
  }
};
`;
}

export function serviceSource(subject: Subject): string {
  const { index, area, entity } = subject;
  const fields = pick(FIELDS, index, 5);
  const counts = index % 2 === 1;
  const dated = index % 4 === 0;
  const total = counts ? "money.format(money.sum(rows, 'amount'))" : 'rows.length';
  return `'use strict';

const { Service } = require('egg');
const identifiers = require('../../../lib/identifiers');
const Store = require('../../../lib/store');
${counts ? "const money = require('../../../lib/money');\n" : ''}${dated ? "const dates = require('../../../lib/dates');\n" : ''}
const FIELDS = [ ${quoted(fields)}, 'state', 'owner' ];
const LIMIT = ${100 + index};
const store = new Store('${area}_${entity}', FIELDS);

/** Keeps the ${entity} of a ${area}. */
module.exports = class ${classOf(subject)}Service extends Service {
  async list({ state, owner } = {}) {
    const rows = store.all(row => (state === undefined || row.state === state) && (owner === undefined || row.owner === owner));
    return rows.slice(0, LIMIT).map(row => this.present(row));
  }

  async find(id) {
    const row = store.find(id);
    return row === undefined ? undefined : this.present(row);
  }

  async create(values) {
    const id = identifiers.next('${area.slice(0, 2)}${entity.slice(0, 2)}');
    this.logger.debug('[${area}.${entity}] create %s', id);
    return this.present(store.save(id, values));
  }

  async update(id, values) {
    const before = store.find(id);
    if (before === undefined) this.ctx.throw(404, \`there is no ${entity} \${id}\`);
    return this.present(store.save(id, { ...before, ...values }));
  }

  async remove(id) {
    return store.remove(id);
  }

  /** What a page shows of all of them at once. */
  async overview() {
    const rows = store.all();
    return { name: '${area}.${entity}', limit: LIMIT, total: ${total}${dated ? ', day: dates.dayOf(Date.now())' : ''} };
  }

  present(row) {
    return { ...row, kind: '${entity}', link: \`/${area}/${entity}/\${row.id}\` };
  }
};
`;
}

/** One file of routes for each area, as routers of this size are written, and the one that gathers them. */
export function routerSources(): Sources {
  const sources = new Map<string, string>();
  for (const area of AREAS) {
    const routes = ENTITIES.map((entity) => `  router.get('/${area}/${entity}', controller.${area}.${entity}.index);`).join('\n');
    sources.set(`app/router/${area}.js`, `'use strict';\n\nmodule.exports = ({ router, controller }) => {\n${routes}\n};\n`);
  }
  const requires = AREAS.map((area) => `  require('./router/${area}')(app);`).join('\n');
  sources.set('app/router.js', `'use strict';\n\nmodule.exports = app => {\n${requires}\n};\n`);
  return sources;
}

/** A function for each of a few areas: what a page needs of three services. */
export function functionSources(areas: readonly string[] = AREAS.slice(0, 5)): Sources {
  return new Map(areas.map((area) => [`app/function/${area}.js`, functionSource(area)]));
}

function functionSource(area: string): string {
  return `'use strict';

const paging = require('../../lib/paging');

module.exports = async function ${area}(ctx, query = {}) {
  const { balance, summary, status } = ctx.service.${area};
  const [ rows, ...overviews ] = await Promise.all([ summary.list(query), balance.overview(), summary.overview(), status.overview() ]);
  return { rows: paging.slice(rows, paging.pageOf(query)), overviews };
};
`;
}
