/**
 * Whether an app worker notices that functions or their specs were edited.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SpecFiles } from '../../lib/ingress/spec_files';

describe('lib/ingress/spec_files', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(path.join(tmpdir(), 'specs-'))));
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), text);
  };
  const filesOf = (): SpecFiles => new SpecFiles(root, { functionDirectory: 'app/function', specFile: 'config/function' });

  it('says so once for each change of a function or of the specs', () => {
    write('app/function/a.ts', '1');
    const files = filesOf();
    assert.equal(files.changed(), false);
    const changes: (() => void)[] = [
      () => write('app/function/a.ts', '22'),
      () => write('app/function/deep/er/b.ts', '1'),
      () => rmSync(path.join(root, 'app/function/deep'), { recursive: true }),
      () => write('config/function.ts', '1'),
      () => rmSync(path.join(root, 'config/function.ts')),
    ];
    for (const change of changes) {
      change();
      assert.equal(files.changed(), true);
      assert.equal(files.changed(), false);
    }
  });

  it('says nothing of other files, nor of what editors put beside those that they save', () => {
    write('app/function/a.ts', '1');
    const files = filesOf();
    write('app/service/s.ts', '1');
    write('config/config.default.ts', '1');
    write('app/function/.a.ts.swp', '1');
    assert.equal(files.changed(), false);
  });

  it('needs neither functions nor specs', () => {
    const files = filesOf();
    assert.equal(files.changed(), false);
    write('app/function/first.ts', '1');
    assert.equal(files.changed(), true);
  });
});
