/**
 * What the table of delayed requests does to the packages that are installed here: Egg, koa, urllib.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import vm from 'node:vm';
import { delayRequires } from '../../lib/snapshot/delay';
import { requestsOf } from '../../lib/snapshot/delayed_requests';

const lines = (source: string): number => source.split(/\r\n|[\n\r\u2028\u2029]/).length;

describe('delayed requests of installed packages', () => {
  const modules = path.resolve(__dirname, '../../node_modules');
  const read = (file: string): string => readFileSync(path.join(modules, file), 'utf8');

  it('wait where the table expects them', () => {
    const delayed = (file: string): readonly string[] => delayRequires(read(file), file.slice(0, file.indexOf('/')))?.delayed ?? [];
    assert.deepEqual(delayed('egg/index.js'), ['egg-cluster']);
    assert.deepEqual(delayed('egg/lib/egg.js'), ['cluster-client', './core/dnscache_httpclient', './core/httpclient']);
    assert.deepEqual(delayed('egg/lib/application.js'), ['graceful', 'cluster-client']);
    assert.deepEqual(delayed('koa/lib/application.js'), ['is-generator-function']);
    assert.deepEqual(delayed('urllib4/dist/commonjs/index.js'), ['undici', './FormData.js']);
    assert.deepEqual(delayed('urllib4/dist/commonjs/fetch.js'), ['undici', 'undici/lib/web/fetch/response.js', './BaseAgent.js', './HttpAgent.js']);
    assert.deepEqual(delayed('urllib4/dist/commonjs/HttpClient.js'), ['formstream', 'mime-types', 'qs', 'undici', './FormData.js', './HttpAgent.js']);
  });

  /** Of the package itself, without what is installed in it. */
  const filesOf = (name: string): string[] => !existsSync(path.join(modules, name)) ? [] : readdirSync(path.join(modules, name), { recursive: true, withFileTypes: true })
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => /\.c?js$/.test(file) && file.lastIndexOf('node_modules') === modules.lastIndexOf('node_modules'));

  it('leave files that parse and have as many lines', () => {
    let count = 0;
    for (const name of ['egg', 'egg-core', 'egg-logger', 'koa', 'urllib', 'urllib4', 'cache-content-type', 'accepts', 'type-is', 'formstream', 'form-data', 'agentkeepalive', 'cluster-client', 'mysql2', 'raw-body', '@eggjs/router']) {
      for (const file of filesOf(name)) {
        const source = readFileSync(file, 'utf8');
        const delayed = delayRequires(source, name);
        if (delayed === undefined) continue;
        count++;
        assert.equal(lines(delayed.source), lines(source), file);
        assert.doesNotThrow(() => vm.compileFunction(delayed.source, ['exports', 'require', 'module', '__filename', '__dirname']), file);
        for (const request of delayed.delayed) assert(requestsOf(name).has(request), `${file}: ${request}`);
      }
    }
    assert(count >= 10, `${count} files`);
  });

  it('leave Egg and urllib working, with fewer modules until they are needed', async () => {
    const script = `
      const Module = require('node:module'), http = require('node:http'), assert = require('node:assert'), path = require('node:path');
      const { delayRequires } = require(${JSON.stringify(path.resolve(__dirname, '../../lib/snapshot/delay'))});
      const compile = Module.prototype._compile;
      Module.prototype._compile = function (source, filename) {
        const name = /^.*node_modules[\\\\/]((?:@[^\\\\/]+[\\\\/])?[^\\\\/]+)/.exec(filename)?.[1];
        return compile.call(this, name === undefined ? source : delayRequires(source, name)?.source ?? source, filename);
      };
      const loaded = (name) => Object.keys(require.cache).some((file) => file.includes(path.sep + 'node_modules' + path.sep + name + path.sep));
      const egg = require('egg');
      const { getGlobalDispatcher, Agent, request, HttpClient, FetchFactory } = require('urllib4');
      for (const name of ['egg-cluster', 'cluster-client', 'urllib', 'graceful']) assert(!loaded(name), name + ' is loaded');
      assert.equal(typeof egg.startCluster, 'function');
      assert(Object.keys(egg).includes('startCluster') && loaded('egg-cluster'));
      const server = http.createServer((req, res) => req.pipe(res)).listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + server.address().port;
        assert(await fetch(url));
        const { data } = await request(url, { method: 'POST', data: { a: [1] }, contentType: 'json', dataType: 'json' });
        assert.deepEqual(data, { a: [1] });
        const form = await new HttpClient({ connect: {} }).request(url, { method: 'POST', files: [Buffer.from('content')], data: { b: 1 }, dataType: 'text' });
        assert.match(form.data, /content/);
        const factory = new FetchFactory();
        factory.setClientOptions({});
        assert.equal(await (await factory.fetch(url, { method: 'POST', body: 'fetched' })).text(), 'fetched');
        assert.equal(typeof Agent, 'function');
        assert.equal(typeof getGlobalDispatcher().dispatch, 'function');
        console.log('worked');
        process.exit();
      });`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: path.resolve(__dirname, '../..') });
    assert.match(stdout, /worked/);
  });
});
