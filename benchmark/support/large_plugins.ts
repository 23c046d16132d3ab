/**
 * Sources of the large application's plugins. Each has configuration, a boot class and an extend, and a service or a
 * middleware; every fifth depends on the one before it. Pure.
 */
import type { Sources } from './large_sources';

const PLUGINS = [
  'audit', 'authority', 'banner', 'blocklist', 'breaker', 'calendar', 'captcha', 'census', 'compass', 'courier',
  'currency', 'digest', 'dispatch', 'exporter', 'feature', 'feedback', 'fence', 'geography', 'glossary', 'importer',
  'journal', 'keyring', 'ledger', 'locker', 'mailbox', 'meter', 'monitor', 'notary', 'operator', 'passport',
  'pipeline', 'quotas', 'ranking', 'registry', 'sampler', 'sentinel', 'stamp', 'survey', 'tenant', 'traffic',
] as const;

/** By their paths in the application, with `config/plugin.js`, which enables them. */
export function pluginSources(): Sources {
  const sources = new Map<string, string>([['config/plugin.js', enabling()]]);
  PLUGINS.forEach((name, index) => {
    const at = `plugins/${name}`;
    const eggPlugin = { name, ...(index % 5 === 4 && { dependencies: [PLUGINS[index - 1]] }) };
    sources.set(`${at}/package.json`, `${JSON.stringify({ name: `large-app-${name}`, version: '1.0.0', private: true, eggPlugin }, undefined, 2)}\n`);
    sources.set(`${at}/config/config.default.js`, configSource(name, index));
    sources.set(`${at}/lib/client.js`, clientSource(name));
    sources.set(`${at}/app.js`, bootSource(name, index % 3 === 0));
    sources.set(`${at}/app/extend/${index % 2 === 0 ? 'application' : 'context'}.js`, extendSource(name, index % 2 === 0));
    if (index % 3 === 0) sources.set(`${at}/app/middleware/${name}.js`, middlewareSource(name));
    else sources.set(`${at}/app/service/${name}.js`, serviceSource(name));
  });
  return sources;
}

const classOf = (name: string): string => (name[0] as string).toUpperCase() + name.slice(1);

function enabling(): string {
  const lines = PLUGINS.map((name) => `exports.${name} = { enable: true, path: path.join(__dirname, '../plugins/${name}') };`);
  return `'use strict';\n\nconst path = require('node:path');\n\n${lines.join('\n')}\n`;
}

function configSource(name: string, index: number): string {
  return `'use strict';

/**
 * @member Config#${name}
 * @property {boolean} enabled - whether events are counted at all
 * @property {number} limit - events that are kept, at most
 * @property {string} interval - between two flushes
 */
exports.${name} = {
  enabled: true,
  limit: ${500 + index * 25},
  interval: '${10 + index} seconds',
  labels: [ '${name}', 'large-app' ],
};
`;
}

function clientSource(name: string): string {
  return `'use strict';

const ms = require('ms');

/** Counts events of ${name} until they are taken. */
module.exports = class ${classOf(name)}Client {
  constructor({ limit, interval, labels }) {
    this.limit = limit;
    this.intervalMs = ms(interval);
    this.labels = labels;
    this.events = [];
    this.open = false;
  }

  async connect() {
    await new Promise(resolve => setImmediate(resolve));
    this.open = true;
  }

  note(event) {
    if (this.open && this.events.length < this.limit) this.events.push({ event, labels: this.labels });
  }

  take() {
    return this.events.splice(0);
  }

  close() {
    this.open = false;
  }
};
`;
}

function bootSource(name: string, hasMiddleware: boolean): string {
  return `'use strict';

const ${classOf(name)}Client = require('./lib/client');

module.exports = class ${classOf(name)}Boot {
  constructor(app) {
    this.app = app;
  }

  configWillLoad() {
    const { ${name} } = this.app.config;
    if (!Array.isArray(${name}.labels)) ${name}.labels = [ '${name}' ];${hasMiddleware ? `\n    this.app.config.coreMiddleware.push('${name}');` : ''}
  }

  async didLoad() {
    this.app.${name}Client = new ${classOf(name)}Client(this.app.config.${name});
    if (this.app.config.${name}.enabled) await this.app.${name}Client.connect();
  }

  async beforeClose() {
    this.app.${name}Client.close();
  }
};
`;
}

function extendSource(name: string, ofApplication: boolean): string {
  return `'use strict';

module.exports = {
  note${classOf(name)}(event) {
    ${ofApplication ? 'this' : 'this.app'}.${name}Client.note(event);
  },

  get ${name}Count() {
    return ${ofApplication ? 'this' : 'this.app'}.${name}Client.events.length;
  },
};
`;
}

function middlewareSource(name: string): string {
  return `'use strict';

module.exports = (options, app) => async function ${name}(ctx, next) {
  if (options.enabled) app.${name}Client.note(ctx.path);
  await next();
};
`;
}

function serviceSource(name: string): string {
  return `'use strict';

const { Service } = require('egg');

module.exports = class ${classOf(name)}Service extends Service {
  async report() {
    const events = this.app.${name}Client.take();
    return { name: '${name}', count: events.length, events: events.slice(0, 10) };
  }

  async note(event) {
    this.app.${name}Client.note(event);
  }
};
`;
}
