/**
 * Loading an application from a snapshot is the same as loading it without one: a comparison over applications that
 * each show one trait. `cases.ts` is their table, `fixtures/snapshot` holds them.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { SnapshotRole } from '../../../lib/snapshot/manifest';
import { CASES, type SnapshotCase } from './cases';
import { compare, type Comparison } from './comparison';
import { differences } from './differences';
import { comparable } from './inherent';
import { Pool } from './pool';

const ROLES: readonly SnapshotRole[] = ['function', 'host'];

function checkOutcome({ recorded, stock, replayed }: Comparison, { fails = [] }: SnapshotCase, role: SnapshotRole): void {
  const failure = JSON.stringify((stock.description as { failure?: unknown }).failure);
  assert.equal(stock.failed, fails.includes(role), `the stock boot ${stock.failed ? `failed: ${failure}` : 'did not fail'}`);
  const found = differences(...comparable(role, stock.description, replayed.description));
  if (found.length > 0) assert.fail(`expected what the stock loader loads; ${found.length} differences:\n${found.join('\n')}`);
  assert.equal(recorded.failed, stock.failed, 'recording changed whether the application boots');
  assert.ok(replayed.served > 0, 'nothing came from the snapshot');
}

describe('an application loaded from a snapshot', () => {
  const pool = new Pool();

  for (const one of CASES) {
    for (const role of ROLES) {
      const compared = pool.add(async () => await compare(one, role));
      it(`${one.name}: equals the stock-loaded one in a ${role === 'host' ? 'host' : 'function process'}`, async () => {
        const comparison = await compared();
        checkOutcome(comparison, one, role);
        // They are large; those of a difference stay for whoever looks into it.
        fs.rmSync(comparison.directory, { recursive: true });
      });
    }
  }

  it('is compared over at least 44 applications', () => {
    assert.ok(new Set(CASES.map(({ application, name }) => application ?? name)).size >= 44);
  });

  after(async () => {
    await pool.settled();
  });
});
