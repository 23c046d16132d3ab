/** Development on a developer's machine: patience with breakpoints, and everything logged. */

export default () => ({
  bff: { upstreamTimeoutMs: 10_000, optionalTimeoutMs: 10_000 },
  logger: { level: 'DEBUG' },
});
