/**
 * Exit codes of the command line; `docs/reference/cli.md` lists them.
 */
export const EXIT = Object.freeze({
  /** What was asked for is so now, whether something had to be changed or not. */
  done: 0,
  /** It could not be done; the message has the code. */
  failed: 1,
  badUsage: 2,
  /** Somebody had to agree and did not, or nobody was there to ask. */
  notConfirmed: 3,
  /** 128 and the number of the signal, as a shell has it. */
  interrupted: 130,
  terminated: 143,
});
