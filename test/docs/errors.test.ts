/**
 * Holds docs/reference/errors.md against the error table, in both directions, and the table against the code.
 */
import assert from 'node:assert/strict';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../../lib/support/errors';
import { read, sources } from './files';

const CODES = Object.keys(ERRORS) as ErrorCode[];

/** Refusals travel as numbers (`NACK` in lib/protocol/frame.ts); these are the names that they go by. */
const REFUSALS: readonly ErrorCode[] = ['CARTON_RUNTIME_DRAINING', 'CARTON_RUNTIME_STALE'];

interface Row {
  readonly code: string;
  readonly cells: readonly string[];
}

function rows(): Row[] {
  const lines = read('docs/reference/errors.md').text.split('\n').filter((line) => line.startsWith('| `CARTON_'));
  return lines.map((line) => {
    const [code = '', ...cells] = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim().replaceAll('\\|', '|'));
    return { code: code.replaceAll('`', ''), cells };
  });
}

describe('docs/reference/errors.md', () => {
  it('has one row for every code of the table, and none for a code that the table does not have', () => {
    assert.deepEqual(rows().map(({ code }) => code).sort(), [...CODES].sort());
  });

  for (const { code, cells } of rows()) {
    it(`says of ${code} what the table says`, () => {
      const entry: ErrorEntry = ERRORS[code as ErrorCode];
      const [status, retry, fault, meaning = '', remedy] = cells;
      assert.deepEqual([status, retry, fault, remedy], [String(entry.status), entry.retryable ? 'yes' : 'no', entry.fault, entry.remedy]);
      assert.ok(meaning.toLowerCase().startsWith(`${entry.title.toLowerCase()}.`), meaning);
    });
  }
});

describe('the error table', () => {
  it('has only codes that the code uses', () => {
    const used = sources('lib', 'plugin-sidecar', 'bin', 'scripts').filter(({ name }) => name !== 'lib/support/errors.ts').map(({ text }) => text).join('\n');
    assert.deepEqual(CODES.filter((code) => !used.includes(code) && !REFUSALS.includes(code)), []);
  });

  it('is the only place that codes come from', () => {
    for (const { name, text } of sources('lib', 'plugin-sidecar', 'bin', 'scripts', 'app', 'config')) {
      for (const [code] of text.matchAll(/\bCARTON_(?:CLI|CONFIG|HOST|INGRESS|INSTANCE|RPC|RUNTIME|SANDBOX|SCHEDULER|SIDECAR|SNAPSHOT|SPEC)_[A-Z_]*[A-Z]\b/g)) {
        assert.ok(Object.hasOwn(ERRORS, code), `${name}: ${code}`);
      }
    }
  });

  for (const code of CODES) {
    it(`gives ${code} a status that fits its fault, and whole sentences`, () => {
      const { status, retryable, fault, title, remedy }: ErrorEntry = ERRORS[code];
      assert.match(code, /^CARTON_[A-Z]+(?:_[A-Z]+)+$/);
      if (status !== 0) assert.ok(status >= 400 && status <= 599, `${status}`);
      if (status !== 0 && fault === 'caller') assert.ok(status < 500, 'a caller\'s mistake is a 4xx');
      if (status === 0) assert.equal(retryable, false);
      if (retryable) assert.ok([429, 503].includes(status), 'what may be sent again says so by its status');
      assert.match(title, /^[a-z][^.]*$/);
      assert.match(remedy, /^[A-Z].*\.$/);
    });
  }
});
