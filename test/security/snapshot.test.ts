/**
 * Manifests that lead astray, each with its right digest: refused with a code before anything is loaded or hooked.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { verify } from '../../lib/snapshot/check';
import { contentOf, open } from '../../lib/snapshot/format';
import type { Manifest, SnapshotReference } from '../../lib/snapshot/manifest';
import { openSnapshot } from '../../lib/snapshot/store';
import { encode, FILES, load, newDirectory, place, record, removeDirectory, subjectOf, withManifest, writeFiles, type Writable } from '../snapshot/tiny_application';

type Spoil = (manifest: Writable<Manifest>) => unknown;

/** Puts a value at a path of keys. */
function put(...way: readonly (string | number)[]): (value: unknown) => Spoil {
  return (value) => (manifest) => {
    let at = manifest as Record<string | number, unknown>;
    for (const key of way.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
    at[way[way.length - 1] as string] = value;
  };
}

const OTHER_TYPES: readonly unknown[] = [null, true, 1, 'text'];
/** What neither a text nor a number can be made of. */
const ODD = { toString: false, valueOf: false };

const ROOTS: readonly (readonly [string, unknown])[] = [
  ['of an unknown kind', { kind: 'root' }],
  ['of a kind that is inherited', { kind: 'constructor' }],
  ['that is none', null],
  ['that is a path', '/etc'],
  ['33 levels up', { kind: 'modules', up: 33 }],
  ['-1 levels up', { kind: 'modules', up: -1 }],
  ['half a level up', { kind: 'modules', up: 0.5 }],
  ['"1" levels up', { kind: 'modules', up: '1' }],
  ['behind a link 33 levels up', { kind: 'real-modules', up: 33 }],
  ['linked by ..', { kind: 'linked', via: 1, name: '..' }],
  ['linked by ../../etc', { kind: 'linked', via: 1, name: '../../etc' }],
  ['linked by @scope/..', { kind: 'linked', via: 1, name: '@scope/..' }],
  ['linked by @../x', { kind: 'linked', via: 1, name: '@../x' }],
  ['linked by .', { kind: 'linked', via: 1, name: '.' }],
  ['linked by an absolute path', { kind: 'linked', via: 1, name: '/etc' }],
  ['linked by a number', { kind: 'linked', via: 1, name: 1 }],
  ['linked from the application', { kind: 'linked', via: 0, name: 'lib' }],
  ['linked from a root that comes later', { kind: 'linked', via: 99, name: 'dep' }],
  ['linked from no root', { kind: 'linked', via: -1, name: 'dep' }],
];

const DIRECTORIES: readonly unknown[] = [
  '0/..', '0/../..', '0/lib/../../x', '0/.', '0/lib/.', '0//lib', '0/', '/etc', '/', '', '..', '99', '-1', '1e0', '0x0', ' 0', '0 ', '0\0', '0/li\0b', '0\n/etc', 'x/lib', '00000000000', 0, null, ['0'], ODD, [ODD],
];

const FILE_ENTRIES: readonly unknown[] = [
  [0, '..'], [0, '.'], [0, ''], [0, '../../x.js'], [0, 'lib/x.js'], [0, '/etc/passwd'], [0, 'x\0.js'], [0, 1], [0, null],
  [99999, 'x.js'], [-1, 'x.js'], [0.5, 'x.js'], ['0', 'x.js'], [0], [], null, {}, 'x.js', [0, 'x.js', 0],
  [0, 'x.js', 3, 0, 0, 0, 0, 0], [0, 'x.js', -1, 0, 0, 0, 0, 0], [0, 'x.js', '0', 0, 0, 0, 0, 0], [0, 'x.js', 0, 2, 0, 0, 0, 0],
  [0, 'x.js', 0, 0, -1, 1, 0, 0], [0, 'x.js', 0, 0, 0, -1, 0, 0], [0, 'x.js', 0, 0, 0, 1e9, 0, 0], [0, 'x.js', 0, 0, 1e9, 0, 0, 0], [0, 'x.js', 0, 0, 0, 0, -1, 0],
  [0, 'x.js', 0, 0, 0, 0, 0, 1e9], [0, 'x.js', 0, 0, 0.5, 0, 0, 0], [0, 'x.js', 0, 0, 2 ** 53, 1, 0, 0], [0, 'x.js', 0, 0, 0, null, 0, 0], [0, 'x.js', 0, 0, ODD, 0, 0, 0], [ODD, 'x.js'], [0, ODD], ODD, [0, 'x.js', 0, 0, 0, 0, 0, 0, 0],
];

const ELSEWHERE: readonly (readonly [string, Spoil])[] = [
  ...['key', 'roots', 'directories', 'files', 'resolutions', 'absolute', 'searches', 'loader', 'stamps', 'omitted'].flatMap((part) => [
    ...OTHER_TYPES.map((value): readonly [string, Spoil] => [`${part} that is ${JSON.stringify(value)}`, put(part)(value)]),
    [`no ${part}`, (manifest: Writable<Manifest>) => void delete (manifest as Record<string, unknown>)[part]] as const,
  ]),
  ['more roots than anyone has', put('roots')(Array.from({ length: 1025 }, () => ({ kind: 'application' })))],
  ...(['exists', 'modes', 'realPaths', 'globs'] as const).map((part): readonly [string, Spoil] => [`loader.${part} that is none`, put('loader', part)(null)]),
  ...[99999, -2, 0.5, '0', null, true, ODD].flatMap((number): (readonly [string, Spoil])[] => [
    [`a resolution to file ${JSON.stringify(number)}`, put('resolutions', '0', 'x')(number)],
    [`an absolute request for file ${JSON.stringify(number)}`, put('absolute', '0/x')(number)],
    [`a search for file ${JSON.stringify(number)}`, put('searches', '["x",0]')(number)],
  ]),
  ...['99999', '-1', 'x', '', '0x0'].map((key): readonly [string, Spoil] => [`resolutions in directory ${JSON.stringify(key)}`, put('resolutions', key)({ x: 0 })]),
  ['resolutions that are a list', put('resolutions', '0')([0])],
  ...['x', '0', '0/..', '0/.', '0/', '0/a/b', '0/../x', '99999/x', '-1/x', '/etc/passwd'].flatMap((key): (readonly [string, Spoil])[] => [
    [`an absolute request for ${key}`, put('absolute', key)(0)],
    [`existence of ${key}`, put('loader', 'exists', key)(true)],
    [`the mode of ${key}`, put('loader', 'modes', key)(0o100644)],
    [`the real path of ${key}`, put('loader', 'realPaths', key)('0/x')],
    [`a real path at ${key}`, put('loader', 'realPaths', '0/x')(key)],
  ]),
  ['existence that is no boolean', put('loader', 'exists', '0/x')(1)],
  ['a mode that is none', put('loader', 'modes', '0/x')('file')],
  ...['x', '[]', '[1,0]', '["x",99999]', '["x","0"]', '{"x":0}'].map((key): readonly [string, Spoil] => [`a search by ${key}`, put('searches', key)(0)]),
  ...['x', '[]', '["**"]', '["**",99999]', '["**",-1]'].map((key): readonly [string, Spoil] => [`a listing by ${key}`, put('loader', 'globs', key)([])]),
  ...['..', '../x.js', 'a/../../x.js', '/etc/passwd', 'x\0', 1, null, ODD].map((name): readonly [string, Spoil] => [`a listing of ${JSON.stringify(name)}`, put('loader', 'globs', '["**",0]')([name])]),
  ['a listing that is none', put('loader', 'globs', '["**",0]')('x.js')],
  ...[[0], [-1, 1], [0, 1e9], [1e9, 0], ['0', '1'], [0, -1]].map((value): readonly [string, Spoil] => [`stamps at ${JSON.stringify(value)}`, put('stamps')(value)]),
  ...[null, true, 1, 'text', []].map((value): readonly [string, Spoil] => [`a manifest that is ${JSON.stringify(value)}`, () => value]),
];

describe('a snapshot whose manifest leads astray', () => {
  let directory: string;
  let baseDir: string;
  let good: Buffer;
  let stored: SnapshotReference;
  before(() => {
    directory = newDirectory();
    baseDir = path.join(directory, 'app');
    writeFiles(baseDir, FILES);
    stored = record(subjectOf(baseDir), path.join(directory, 'snapshots'));
    good = readFileSync(stored.path);
  });
  after(() => removeDirectory(directory));

  function refused(spoil: Spoil): void {
    const { bytes, sha256 } = withManifest(good, (manifest) => spoil(manifest) ?? manifest);
    assert.throws(() => open(bytes, sha256), { code: 'CARTON_SNAPSHOT_DAMAGED' });
  }

  it('is refused by no check where it is as it was built', () => {
    const { bytes, sha256 } = withManifest(good, () => undefined);
    assert.ok(open(bytes, sha256).manifest.files.length > 3);
  });

  for (const [what, root] of ROOTS) it(`is refused with a root ${what}`, () => refused((manifest) => void (manifest.roots as unknown[]).push(root)));

  it('is refused with a directory that is none below a root', () => {
    for (const directoryEntry of DIRECTORIES) refused((manifest) => void (manifest.directories as unknown[]).push(directoryEntry));
  });

  it('is refused with a file outside of the directories, or with contents outside of the snapshot', () => {
    for (const file of FILE_ENTRIES) refused((manifest) => void (manifest.files as unknown[]).push(file));
  });

  it('is refused with any other part that does not fit', () => {
    for (const [what, spoil] of ELSEWHERE) {
      const changed = withManifest(good, (manifest) => {
        const value = spoil(manifest);
        return what.startsWith('a manifest') ? value ?? null : manifest;
      });
      assert.throws(() => open(changed.bytes, changed.sha256), { code: 'CARTON_SNAPSHOT_DAMAGED' }, what);
    }
  });

  it('is refused, or harmless, with any value in any place', () => {
    const places = placesOf(JSON.parse(JSON.stringify(open(good, stored.sha256).manifest)));
    fc.assert(fc.property(fc.constantFrom(...places), fc.jsonValue(), (way, value) => {
      const { bytes, sha256 } = withManifest(good, put(...way)(value));
      try {
        open(bytes, sha256);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'CARTON_SNAPSHOT_DAMAGED', String((error as Error).stack));
      }
    }), { numRuns: 2000 });
  });

  it('is refused with stamps that are none, before anything is compared', () => {
    const stamps = ['', 'null', '[]', '{}', '{"files":[null],"directories":[]}', '{"files":[[0,"x",1,"y"]],"directories":[]}', '{"files":[[9999,"1",1,"y"]],"directories":[]}',
      '{"files":[],"directories":[["0","x"]]}', '{"files":[],"directories":[[9999,"x"]]}', '{"files":[],"directories":{}}'];
    for (const text of stamps) {
      const { start, manifest } = open(good, stored.sha256);
      const offset = good.length - start;
      const { bytes, sha256 } = encode({ ...manifest, stamps: [offset, text.length] }, Buffer.concat([good.subarray(start), Buffer.from(text)]));
      assert.throws(() => verify(open(bytes, sha256), subjectOf(baseDir)), { code: 'CARTON_SNAPSHOT_DAMAGED' }, text);
    }
  });

  it('leaves a process as it was: nothing is hooked, and the application is loaded from its files', () => {
    for (const spoil of [put('roots', 0)({ kind: 'x' }), put('directories', 0)('0/../..'), put('resolutions', '0')({ './lib/prices': 99_999 })]) {
      const reference = place(path.join(directory, 'spoilt'), withManifest(good, spoil));
      const { results, refused: told, served } = load(subjectOf(baseDir), reference);
      assert.equal(told?.code, 'CARTON_SNAPSHOT_DAMAGED');
      assert.equal(told?.untouched, true);
      assert.equal(served, 0);
      assert.deepEqual(results, [{ price: 6 }]);
    }
  });

  it('cannot have a file outside read by naming it through a link of the application\'s own', () => {
    const secret = path.join(directory, 'secret');
    mkdirSync(secret);
    writeFileSync(path.join(secret, 'package.json'), '{"name":"secret"}');
    refused((manifest) => void (manifest.roots as unknown[]).push({ kind: 'linked', via: 1, name: '../../secret' }));
    // One that is not linked is a root that is not there.
    const { bytes, sha256 } = withManifest(good, (manifest) => void (manifest.roots as unknown[]).push({ kind: 'linked', via: 1, name: 'secret' }));
    const { refused: told } = load(subjectOf(baseDir), place(path.join(directory, 'spoilt'), { bytes, sha256 }));
    assert.equal(told?.code, 'CARTON_SNAPSHOT_MISMATCH');
    assert.equal(told?.untouched, true);
  });

  it('is the one that was meant, by its digest: what lies under its name is not trusted', () => {
    const opened = openSnapshot(stored);
    assert.ok(contentOf(opened, opened.manifest.stamps).length > 0);
    const other = place(path.join(directory, 'spoilt'), withManifest(good, put('delayed')(7)));
    writeFileSync(other.path, good);
    assert.throws(() => openSnapshot(other), { code: 'CARTON_SNAPSHOT_DAMAGED' });
  });
});

/** The ways to all values of a manifest, some levels deep. */
function placesOf(value: unknown, way: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  const here = way.length === 0 ? [] : [way];
  if (typeof value !== 'object' || value === null || way.length >= 4) return here;
  return [...here, ...Object.entries(value).flatMap(([key, below]) => placesOf(below, [...way, key]))];
}
