/**
 * What of a directory's names counts as the application's own.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { namesDigest } from '../../lib/snapshot/stamps';
import { newDirectory, removeDirectory } from './tiny_application';

describe('the digest of a directory\'s names', () => {
  let directory: string;
  beforeEach(() => (directory = newDirectory()));
  afterEach(() => removeDirectory(directory));

  it('changes with a name that comes, goes or is another, and not with contents', () => {
    const seen = [namesDigest(directory, false)];
    writeFileSync(path.join(directory, 'a'), '1');
    seen.push(namesDigest(directory, false));
    writeFileSync(path.join(directory, 'a'), '2');
    assert.equal(namesDigest(directory, false), seen[1]);
    mkdirSync(path.join(directory, 'b'));
    seen.push(namesDigest(directory, false));
    rmSync(path.join(directory, 'a'));
    writeFileSync(path.join(directory, 'c'), '');
    seen.push(namesDigest(directory, false));
    assert.equal(new Set(seen).size, 4);
  });

  it('leaves out, in an application\'s root only, what comes and goes while it runs', () => {
    const empty = namesDigest(directory, true);
    for (const name of ['logs', 'run', 'node_modules', '.carton', '.git']) {
      mkdirSync(path.join(directory, name));
      assert.equal(namesDigest(directory, true), empty, name);
    }
    assert.notEqual(namesDigest(directory, false), empty);
    writeFileSync(path.join(directory, 'logs.js'), '');
    assert.notEqual(namesDigest(directory, true), empty);
  });

  it('tells one name with a line break from two', () => {
    writeFileSync(path.join(directory, 'a\nb'), '');
    const one = namesDigest(directory, false);
    rmSync(path.join(directory, 'a\nb'));
    for (const name of ['a', 'b']) writeFileSync(path.join(directory, name), '');
    assert.notEqual(namesDigest(directory, false), one);
  });

  it('is none where there is no directory', () => {
    writeFileSync(path.join(directory, 'file'), '');
    for (const name of ['none', 'file', 'file/none']) assert.equal(namesDigest(path.join(directory, name), false), undefined);
  });
});
