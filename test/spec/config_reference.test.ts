/**
 * Holds docs/reference/config.md against the schemas of configuration and specs, in both directions.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { KeyRow } from '../../lib/spec/checks';
import { configKeys } from '../../lib/spec/config_schema';
import { parseDeclarations, specKeys } from '../../lib/spec/schema';

/** The row of the reference that a key must have, character by character. */
export function referenceRow(row: KeyRow): string {
  const cells = [`\`${row.path}\``, row.description, row.unit, row.range, defaultCell(row.default), row.effect];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function defaultCell(value: unknown): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string' && /[ `]/.test(value)) return value;
  return `\`${typeof value === 'string' ? `'${value}'` : JSON.stringify(value)}\``;
}

describe('docs/reference/config.md', () => {
  const lines = fs.readFileSync(path.join(__dirname, '../../docs/reference/config.md'), 'utf8').split('\n');
  const specsAt = lines.indexOf('## Function specs');
  assert.notEqual(specsAt, -1);

  for (const [title, keys, part] of [
    ['configuration', configKeys(), lines.slice(0, specsAt)],
    ['function specs', specKeys(), lines.slice(specsAt)],
  ] as const) {
    it(`has a row with meaning, unit, range, default and effect for every key of the ${title}`, () => {
      const rows = keys.map(referenceRow);
      assert.deepEqual(rows.filter((row) => !part.includes(row)), []);
    });

    it(`has no row for a key that the ${title} do not know`, () => {
      const documented = part.map((line) => /^\| `([^`]+)` \|/.exec(line)?.[1]).filter((key) => key !== undefined);
      assert.deepEqual(documented, keys.map((key) => key.path));
    });
  }

  it('says of every key what it means and what happens', () => {
    for (const row of [...configKeys(), ...specKeys()]) {
      assert.match(row.description, /\.$/, row.path);
      assert.match(row.effect, /\.$/, row.path);
      if (/Ms$|Bytes$|Seconds$/.test(row.path)) assert.notEqual(row.unit, '', row.path);
    }
  });

  it('has an example of specs that is valid', () => {
    const { problems } = parseDeclarations(require('../../fixtures/spec-declared/config/function.js') as unknown, 'config/function.js');
    assert.deepEqual(problems, []);
  });
});
