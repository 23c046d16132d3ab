/**
 * Which program a process runs, by its main file. Imports nothing, since `egg-carton/register` asks it before anything
 * else is loaded from a snapshot.
 */

/** What egg-cluster starts for an agent or an app worker, as a process or a thread. */
export const CLUSTER_ENTRY = /egg-cluster[\\/]lib[\\/](?:agent|app)_worker(?:\.js)?$/;

/** This package's own processes: each of them decides itself what it loads from where. */
export const OWN_ENTRY = /[\\/]lib[\\/]entry[\\/](?:function|recording)_process\.js$/;
