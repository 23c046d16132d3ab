/**
 * What a fork starts by `child_process.fork`: tells its flags.
 */
process.send?.({ execArgv: process.execArgv, ppid: process.ppid }, () => process.disconnect());
