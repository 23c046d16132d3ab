/**
 * The long fault run of sidecars: functions move money through one, while the sidecar, function processes and the
 * database are killed in turn.
 *
 *     node scripts/soak/sidecar_faults.js [--minutes 3]
 *
 * Looks for transfers that are lost, done twice or done by half, errors without a code, connections that leak, processes
 * that end by themselves, and services that do not come back. Needs MariaDB and Redis. Tells of its progress on stderr,
 * and ends with one JSON object on the last line of stdout; exit code 1 where there is a finding.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { LedgerHost } from '../../test/fault/sidecar/host';
import { Killer, VICTIMS } from '../../test/fault/sidecar/kills';
import { Load } from '../../test/fault/sidecar/load';

/** Each of the victims, before what was done is held against the database. */
const KILLS_A_ROUND = 3 * VICTIMS.length;
/** Between one kill and the next: less than a second, or some. */
const MIN_CALLS = 100;
const MAX_CALLS = 4_000;

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '3' } } });
const minutes = Number(values.minutes);

void main();

async function main(): Promise<void> {
  const host = await LedgerHost.start();
  const load = new Load(host);
  const killer = new Killer(host, load);
  const findings: string[] = [];
  const started = performance.now();
  try {
    for (let round = 1; performance.now() - started < minutes * 60_000 && findings.length === 0; round += 1) {
      await run(load, killer);
      findings.push(...load.violations, ...killer.dead());
      process.stderr.write(`round ${round}: ${load.calls} calls, ${killer.kills.length} kills, ${findings.length} findings\n`);
    }
    await host.stop();
  } catch (error) {
    findings.push(...load.violations, ...killer.dead(), String(error));
    await load.stop();
    await host.destroy();
  }
  report({ load, killer, findings, seconds: (performance.now() - started) / 1000 });
}

async function run(load: Load, killer: Killer): Promise<void> {
  load.start();
  await load.served();
  for (let kill = 0; kill < KILLS_A_ROUND; kill += 1) {
    const victim = VICTIMS[kill % VICTIMS.length] as (typeof VICTIMS)[number];
    const backMs = await killer.kill(victim, randomInt(MIN_CALLS, MAX_CALLS));
    process.stderr.write(`  ${victim} killed, served again after ${backMs} ms\n`);
  }
  await load.stop();
  await load.check();
}

function report({ load, killer, findings, seconds }: { load: Load; killer: Killer; findings: readonly string[]; seconds: number }): void {
  const kills = Object.fromEntries(VICTIMS.map((victim) => {
    const times = killer.kills.filter((kill) => kill.victim === victim).map(({ backMs }) => backMs).sort((a, b) => a - b);
    return [victim, { kills: times.length, back_p50_ms: times[Math.floor(times.length / 2)] ?? null, back_max_ms: times.at(-1) ?? null }];
  }));
  const outcomes = Object.fromEntries([...load.counts].sort(([a], [b]) => a.localeCompare(b)));
  for (const [outcome, count] of Object.entries(outcomes)) process.stderr.write(`  ${outcome}: ${count}\n`);
  for (const finding of findings) process.stderr.write(`finding: ${finding}\n`);
  process.stdout.write(`${JSON.stringify({
    node: process.version, seconds: Math.round(seconds), calls: load.calls, failed: load.failures, kills, outcomes, findings: findings.length, clean: findings.length === 0,
  })}\n`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
