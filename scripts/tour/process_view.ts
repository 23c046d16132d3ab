/**
 * The processes of the demo's host as a picture: the master, its agent with the instances that it launched, its workers.
 */
import { describeTree, type ProcessInfo } from '../support/processes';
import { asked, line, megabytes } from './screen';

export interface Instance extends ProcessInfo {
  /** The function that it runs; undefined while it starts. */
  readonly function: string | undefined;
}

/** An instance's title: "egg-carton home 1-1" or, for functions that share instances, "egg-carton group:order 1-2". */
const INSTANCE_TITLE = /^egg-carton (?:group:)?(\S+) /;
const INSTANCE_ENTRY = 'lib/entry/function_process.js';

const NAME_WIDTH = 20;
const PID_WIDTH = 8;
const MEMORY_WIDTH = 9;

/** The instances that run now. */
export function instancesOf(master: number): Instance[] {
  return describeTree(master).flatMap((info) => {
    const name = INSTANCE_TITLE.exec(info.command)?.[1];
    return name === undefined && !info.command.includes(INSTANCE_ENTRY) ? [] : [{ ...info, function: name }];
  });
}

/** Draws the tree. */
export function showProcesses(master: number): void {
  const tree = describeTree(master);
  asked(row('process', 'pid', 'memory'));
  for (const info of tree.filter(({ pid }) => pid === master)) draw(info, 'master', '', 'egg-cluster');
  const agents = tree.filter(({ command }) => command.includes('agent_worker.js'));
  const workers = tree.filter(({ command }) => command.includes('app_worker.js'));
  for (const info of agents) {
    draw(info, 'agent', '├─ ', 'scheduler');
    drawInstances(instancesOf(master));
  }
  workers.forEach((info, i) => {
    draw(info, 'worker', i === workers.length - 1 ? '└─ ' : '├─ ', 'ingress and the application');
  });
}

function drawInstances(instances: readonly Instance[]): void {
  instances.forEach((info, i) => {
    draw(info, info.function ?? '…', i === instances.length - 1 ? '│  └─ ' : '│  ├─ ', 'instance');
  });
}

function draw(info: ProcessInfo, name: string, branch: string, role: string): void {
  line(`   ${row(`${branch}${name}`, String(info.pid), megabytes(info.memoryBytes))}   ${role}`);
}

function row(name: string, pid: string, memory: string): string {
  return `${name.padEnd(NAME_WIDTH)}${pid.padStart(PID_WIDTH)}${memory.padStart(MEMORY_WIDTH)}`;
}
