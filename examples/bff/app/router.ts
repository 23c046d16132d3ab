/** All routes of the application. */

import type { Application } from 'egg';

export default (app: Application): void => {
  const { controller, router } = app;
  const { site, session, user, product, order } = controller;

  router.get('/health', site.health);
  router.get('/version', site.version);
  router.get('/api/home', site.home);

  router.post('/api/session', session.create);
  router.get('/api/session', session.show);
  router.delete('/api/session', session.destroy);

  router.get('/api/profile', user.profile);
  router.put('/api/profile', user.updateProfile);
  router.get('/api/users', user.index);
  router.get('/api/users/:id', user.show);

  router.get('/api/products', product.index);
  router.get('/api/products/search', product.search);
  router.get('/api/products/:id', product.show);
  router.get('/api/recommendations', product.recommendations);

  router.post('/api/orders/quote', order.quote);
  router.post('/api/orders', order.create);
  router.get('/api/orders', order.index);
  router.get('/api/orders/export.csv', order.exportCsv);
  router.get('/api/orders/:id', order.show);
  router.post('/api/orders/:id/cancel', order.cancel);
};
