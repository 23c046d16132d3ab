/**
 * Production. BFF_KEYS holds the keys that sign cookies, the newest first,
 * separated by commas; without it the boot class warns and the default stays.
 */

export default () => {
  const keys = process.env.BFF_KEYS;
  return keys ? { keys } : {};
};
