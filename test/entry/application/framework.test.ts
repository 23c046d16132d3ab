import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { resolveFramework } from '../../../lib/entry/application/framework';
import { FIXTURES } from './child';

describe('entry/application/framework', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'carton-framework-'));
  });

  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function application(framework?: string): string {
    const baseDir = path.join(root, 'packages/app');
    mkdirSync(baseDir, { recursive: true });
    writeFileSync(path.join(baseDir, 'package.json'), JSON.stringify({ name: 'app', ...(framework && { egg: { framework } }) }));
    return baseDir;
  }

  function directory(name: string): string {
    const made = path.join(root, name);
    mkdirSync(made, { recursive: true });
    return made;
  }

  it('takes egg where nothing else is named', () => {
    assert.equal(resolveFramework(path.join(FIXTURES, 'plain-app')), path.dirname(require.resolve('egg/package.json')));
  });

  it('takes egg.framework from package.json, relative to node_modules as egg-cluster does', () => {
    assert.equal(resolveFramework(path.join(FIXTURES, 'framework-app')), path.join(FIXTURES, 'custom-framework'));
  });

  it('prefers the option to package.json', () => {
    const option = directory('elsewhere');
    assert.equal(resolveFramework(application('not-there'), { framework: option }), option);
  });

  it('finds a package in the application, then in a directory above it', () => {
    const baseDir = application('house');
    const above = directory('node_modules/house');
    assert.equal(resolveFramework(baseDir), above);
    const own = directory('packages/app/node_modules/house');
    assert.equal(resolveFramework(baseDir), own);
  });

  it('finds a path relative to the application', () => {
    const baseDir = application('./framework');
    const framework = directory('packages/app/framework');
    assert.equal(resolveFramework(baseDir), framework);
  });

  it('names a framework that is not installed, and a directory that is no application', () => {
    assert.throws(() => resolveFramework(application('not-there')), { code: 'CARTON_HOST_NO_FRAMEWORK', message: /framework "not-there" to be installed/ });
    assert.throws(() => resolveFramework(application(), { framework: path.join(root, 'gone') }), { code: 'CARTON_HOST_NO_FRAMEWORK' });
    assert.throws(() => resolveFramework(root), { code: 'CARTON_HOST_NO_FRAMEWORK', message: /package\.json/ });
  });
});
