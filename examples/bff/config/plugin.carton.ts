/** Loaded under EGG_SERVER_SCOPE=carton only: enables the function host. */

export default {
  carton: { enable: true, package: 'egg-carton' },
};
