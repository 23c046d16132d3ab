/**
 * What `init` writes runs: an application that it has changed boots, and its first function answers.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import mm from 'egg-mock';
import { main } from '../../../lib/cli/main';
import { withApplication } from '../../spec/workspace';
import { FakeTerminal } from '../fake_terminal';

const ROOT = path.join(__dirname, '../../..');

describe('an application that init has changed', () => {
  it('boots, keeps its routes and answers for its first function', async () => {
    const files = {
      'package.json': '{ "name": "init-boot", "dependencies": { "egg": "^3.34.0" } }\n',
      'config/config.default.js': "exports.keys = 'init-boot';\n",
      'app/router.js': "module.exports = (app) => app.get('/old', (ctx) => { ctx.body = 'old'; });\n",
    };
    await withApplication(files, async (baseDir) => {
      link(baseDir);
      assert.equal(await main(['init', baseDir, '--yes'], new FakeTerminal()), 0);
      mm.env('unittest');
      const app = mm.app({ baseDir, framework: path.join(ROOT, 'node_modules/egg'), cache: false });
      try {
        await app.ready();
        assert.equal(await app.invokeFunction('hello', ['Egg']), 'Hello, Egg!');
        await app.httpRequest().post('/oneapi/hello').send(['world']).expect(200, '"Hello, world!"');
        await app.httpRequest().get('/old').expect(200, 'old');
      } finally {
        await app.close();
        await mm.restore();
      }
    });
  });
});

/** What `npm install` would do: the packages are there. */
function link(baseDir: string): void {
  fs.mkdirSync(path.join(baseDir, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(baseDir, 'node_modules/egg-carton'));
  fs.symlinkSync(path.join(ROOT, 'node_modules/egg'), path.join(baseDir, 'node_modules/egg'));
}
