/**
 * Holds docs/guides/users-and-auth.md: its resolvers, taken from the text, read what Egg's own sessions have written.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import mm from 'egg-mock';
import { withApplication } from '../spec/workspace';
import { read, ROOT } from './files';

/** The resolvers of the section about sessions: one for cookies, one for a store. */
function resolvers(): string[] {
  const section = read('docs/guides/users-and-auth.md').text.split('## Egg\'s sessions')[1] ?? '';
  return [...section.matchAll(/```ts\n(resolveUser: [\s\S]*?),\n```/g)].map((match) => match[1] as string);
}

function files(resolver: string, appJs: string): Record<string, string> {
  return {
    'package.json': '{ "name": "guide", "dependencies": { "egg": "3" } }',
    'config/config.default.js': `exports.keys = 'guide-keys';\nexports.carton = {\n${resolver},\n};\n`,
    'config/plugin.js': "exports.carton = { enable: true, package: 'egg-carton' };\n",
    ...(appJs === '' ? {} : { 'app.js': appJs }),
    'app/router.js': "module.exports = (app) => app.get('/in', (ctx) => { ctx.session.user = { id: 'u01' }; ctx.body = 'in'; });\n",
    'app/function/me.js': 'module.exports = async (ctx) => ctx.user;\n',
  };
}

async function withEgg(baseDir: string, use: (app: ReturnType<typeof mm.app>) => Promise<void>): Promise<void> {
  fs.mkdirSync(path.join(baseDir, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(baseDir, 'node_modules/egg-carton'));
  fs.symlinkSync(path.join(ROOT, 'node_modules/egg'), path.join(baseDir, 'node_modules/egg'));
  mm.env('unittest');
  const app = mm.app({ baseDir, framework: path.join(ROOT, 'node_modules/egg'), cache: false });
  try {
    await app.ready();
    await use(app);
  } finally {
    await app.close();
    await mm.restore();
  }
}

const STORE = `module.exports = (app) => {
  const sessions = new Map();
  app.sessionStore = {
    async get(key) { return sessions.get(key); },
    async set(key, value) { sessions.set(key, value); },
    async destroy(key) { sessions.delete(key); },
  };
};
`;

describe('docs/guides/users-and-auth.md', () => {
  for (const [index, [title, appJs]] of ([['the cookie', ''], ['a store', STORE]] as const).entries()) {
    it(`has a resolver that reads Egg's session from ${title}, and finds nobody in a forged one`, async () => {
      await withApplication(files(resolvers()[index] as string, appJs), (baseDir) => withEgg(baseDir, async (app) => {
        const signedIn = await app.httpRequest().get('/in').expect(200);
        const cookie = (signedIn.headers['set-cookie'] as unknown as string[]).map((line) => line.split(';')[0]).join('; ');
        await app.httpRequest().post('/oneapi/me').set('cookie', cookie).send([]).expect(200, { id: 'u01' });
        const { body } = await app.httpRequest().post('/oneapi/me').set('cookie', 'EGG_SESS=eyJ1c2VyIjp7ImlkIjoidTAxIn19').send([]).expect(401);
        assert.equal((body as { error: { code: string } }).error.code, 'CARTON_INGRESS_USER_REQUIRED');
      }));
    });
  }
});
