/** Tests: short waits for what a page can do without, so that fallbacks are met quickly, and logs in files only. */

export default () => ({
  bff: { optionalTimeoutMs: 300 },
  logger: { consoleLevel: 'NONE' },
});
