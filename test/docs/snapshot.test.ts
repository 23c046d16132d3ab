/**
 * Holds docs/reference/snapshot.md: its tables against a snapshot that was really built, its bytes, and its reader,
 * which is taken from the text and run.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildSnapshot } from '../../lib/entry/snapshot_builder';
import { snapshotSubject } from '../../lib/entry/snapshot_subject';
import { wrap } from '../../lib/snapshot/commonjs';
import { SNAPSHOT_FORMAT, type Manifest, type Stamps } from '../../lib/snapshot/manifest';
import { contentOf, type Opened } from '../../lib/snapshot/format';
import { currentSnapshot, openSnapshot } from '../../lib/snapshot/store';
import type { ApplicationDescriptor } from '../../lib/support/host_environment';
import { read, ROOT } from './files';

const { text } = read('docs/reference/snapshot.md');
const PLACE = '<source>';
const [HEAD = '', TAIL = ''] = wrap(PLACE).split(PLACE);

/**
 * Builds the snapshot of the smallest application, of Egg's own processes, because those list directories, too. In an
 * environment in which Egg writes its logs below the application.
 */
async function build(directory: string): Promise<void> {
  const baseDir = path.join(directory, 'hello-app');
  fs.cpSync(path.join(ROOT, 'fixtures/hello-app'), baseDir, { recursive: true });
  fs.symlinkSync(path.join(ROOT, 'node_modules'), path.join(baseDir, 'node_modules'));
  const application: ApplicationDescriptor = {
    kind: 'egg', name: 'hello-app', baseDir, entry: path.join(baseDir, 'node_modules/egg'), options: { env: 'unittest' }, disabledPlugins: [],
  };
  const plan = { subject: snapshotSubject(application, 'host'), directory, application, functions: [], warmUps: [] };
  await buildSnapshot(plan, { execArgv: [] }).done;
}

/** First cells of the rows of the first table below a heading. */
function fields(heading: string): string[] {
  const [section = ''] = (text.split(`\n${heading}\n`)[1] ?? '').split(/\n##+ /);
  const [table = ''] = /(?:^\|.*\n)+/m.exec(section) ?? [];
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = '']) => name).sort();
}

/** The listing that the reader in the document prints, in its order. */
function listed({ manifest, bytes }: Opened): string[] {
  const { roots, directories, files } = manifest;
  return files.flatMap((file) => {
    if (file.length === 2) return [];
    const [number, name, kind, , , size, , cacheSize] = file;
    const [root = '', ...below] = (directories[number] as string).split('/');
    assert.ok(bytes.length > size);
    return [[roots[Number(root)]?.kind, [...below, name].join('/'), ['CommonJS', 'JSON', 'loader'][kind], size, cacheSize].join('\t')];
  });
}

describe('docs/reference/snapshot.md', () => {
  let directory = '';
  let opened: Opened;
  let manifest: Manifest;

  before(async () => {
    directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'carton-docs-')));
    await build(directory);
    const reference = currentSnapshot(directory, 'host');
    assert.ok(reference !== undefined);
    opened = openSnapshot(reference);
    ({ manifest } = opened);
  });
  after(() => fs.rmSync(directory, { recursive: true, force: true }));

  it('has every field of the manifest, of the key, of what the loader asked and of the stamps, and no other', () => {
    const stamps = JSON.parse(contentOf(opened, manifest.stamps).toString()) as Stamps;
    assert.deepEqual(fields('## The manifest'), Object.keys(manifest).sort());
    assert.deepEqual(fields('## The key'), Object.keys(manifest.key).sort());
    assert.deepEqual(fields("### What Egg's loader asked"), Object.keys(manifest.loader).sort());
    assert.deepEqual(fields('## Stamps'), Object.keys(stamps).sort());
  });

  it('has an example of the manifest with the same fields, that is JSON', () => {
    const example = JSON.parse(/```json\n([\s\S]*?)```/.exec(text)?.[1] ?? '') as Manifest;
    assert.deepEqual(Object.keys(example).sort(), Object.keys(manifest).sort());
    assert.deepEqual(Object.keys(example.key).sort(), Object.keys(manifest.key).sort());
    for (const [number] of example.files) assert.ok(number < example.directories.length);
    for (const directoryOf of example.directories) assert.ok(Number(directoryOf.split('/')[0]) < example.roots.length);
  });

  it('shows the bytes that a file begins with', () => {
    const [first = ''] = /^00000000: .*$/m.exec(text) ?? [];
    const [second = ''] = /^00000010: .*$/m.exec(text) ?? [];
    const bytes = Buffer.from(`${first.slice(10, 49)}${second.slice(10, 49)}`.replaceAll(' ', ''), 'hex');
    assert.equal(bytes.length, 32);
    // All but the manifest's length, which is another one's.
    assert.deepEqual(bytes.subarray(0, 12), opened.bytes.subarray(0, 12));
    assert.deepEqual(bytes.subarray(16), opened.bytes.subarray(16, 32));
    assert.equal(bytes.readUInt32LE(8), SNAPSHOT_FORMAT);
  });

  it('gives the wrapper that sources stand in', () => {
    const wrapper = /```\n(\(function [\s\S]*?)\n```/.exec(text)?.[1] ?? '';
    assert.equal(wrapper, wrap(PLACE));
    assert.ok(text.includes(`the ${HEAD.length} characters in front and the ${TAIL.length} behind`));
    for (const file of manifest.files) {
      if (file.length === 2 || file[2] === 1) continue;
      const source = contentOf(opened, [file[4], file[5]]).toString(file[3] === 0 ? 'latin1' : 'utf16le');
      assert.ok(source.startsWith(HEAD) && source.endsWith(TAIL), file[1]);
    }
  });

  it('has a reader that lists the files of a snapshot', () => {
    const reader = /```js\n(\/\/ list\.js[\s\S]*?)```/.exec(text)?.[1] ?? '';
    assert.ok(reader.trim().split('\n').length <= 25, 'a reader that is short');
    const file = path.join(directory, 'list.js');
    fs.writeFileSync(file, reader);
    const { stdout, stderr, status } = spawnSync(process.execPath, [file, directory, 'host'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const lines = stdout.trim().split('\n').map((line) => line.split('\t'));
    assert.deepEqual(lines.map(([root, name, kind, , ...sizes]) => [root, name, kind, ...sizes].join('\t')), listed(opened));
    const home = lines.find(([, name]) => name === 'app/controller/home.js');
    const source = fs.readFileSync(path.join(directory, 'hello-app/app/controller/home.js'), 'utf8');
    assert.deepEqual(home?.slice(0, 4), ['application', 'app/controller/home.js', 'CommonJS', `${source.split('\n').length} lines`]);
  });

  it('has a reader that refuses a damaged file', () => {
    const [snapshot = ''] = fs.readdirSync(directory).filter((name) => name.endsWith('.snapshot'));
    const bytes = Buffer.from(opened.bytes);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    fs.writeFileSync(path.join(directory, snapshot), bytes);
    const { status, stderr } = spawnSync(process.execPath, [path.join(directory, 'list.js'), directory, 'host'], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, /damaged/);
  });
});
