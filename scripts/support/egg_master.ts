/**
 * The master of an Egg application in production, as egg-scripts starts it, in a child process. It tells when its agent
 * and its workers are ready.
 *
 * Arguments: the application's directory, the port, the number of workers.
 */
import { startCluster } from 'egg';

const [baseDir, port, workers] = process.argv.slice(2);

startCluster({ baseDir, port: Number(port), workers: Number(workers) }, () => process.send?.({ ready: true }));
// egg-cluster ends its processes at SIGTERM; the parent's end, however it comes, is theirs.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
