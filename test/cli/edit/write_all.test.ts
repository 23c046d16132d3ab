/**
 * Writing of several files: all or nothing.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { writeAll } from '../../../lib/cli/edit/write_all';
import { withApplication } from '../../spec/workspace';

describe('writeAll', () => {
  it('takes back what it wrote where a later file cannot be written', async () => {
    await withApplication({ 'a.txt': 'old', 'file': 'in the way' }, (baseDir) => {
      const at = (name: string): string => path.join(baseDir, name);
      assert.throws(
        () => writeAll([
          { path: at('a.txt'), before: 'old', after: 'new' },
          { path: at('made/b.txt'), before: undefined, after: 'new' },
          { path: at('file/c.txt'), before: undefined, after: 'new' },
        ]),
        { code: 'CARTON_CLI_CANNOT_EDIT' },
      );
      assert.deepEqual(fs.readdirSync(baseDir).sort(), ['a.txt', 'file']);
      assert.equal(fs.readFileSync(at('a.txt'), 'utf8'), 'old');
    });
  });

  it('keeps mode and links, and leaves no temporary file', async () => {
    await withApplication({ 'real.txt': 'old' }, (baseDir) => {
      const at = (name: string): string => path.join(baseDir, name);
      fs.chmodSync(at('real.txt'), 0o640);
      fs.symlinkSync('real.txt', at('link.txt'));
      writeAll([{ path: at('link.txt'), before: 'old', after: 'new' }]);
      assert.ok(fs.lstatSync(at('link.txt')).isSymbolicLink());
      assert.equal(fs.readFileSync(at('real.txt'), 'utf8'), 'new');
      assert.equal(fs.statSync(at('real.txt')).mode & 0o777, 0o640);
      assert.deepEqual(fs.readdirSync(baseDir).sort(), ['link.txt', 'real.txt']);
    });
  });
});
