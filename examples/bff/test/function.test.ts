/**
 * The functions, called directly with the services of a context that has no
 * request: they answer what the routes answer, and need nothing of HTTP.
 */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import type { FunctionContext } from 'egg-carton';
import home from '../app/function/home';
import submit, { quote } from '../app/function/order';
import recommend from '../app/function/recommend';
import profile from '../app/function/user/profile';
import type { SessionUser } from '../lib/session';
import { signIn } from './support';

const USER: SessionUser = { id: 'u10', name: 'User 10' };
const FORM = { lines: [{ productId: 'p005', quantity: 1 }], address: 'West Lake 1, Hangzhou' };

describe('the functions', () => {
  it('home answers what GET /api/home answers', async () => {
    const { body } = await app.httpRequest().get('/api/home?city=beijing').expect(200);
    assert.deepEqual(await home(contextFor(undefined), 'beijing'), body);
  });

  it('user/profile answers what GET /api/profile answers, and refuses a visitor', async () => {
    const { body } = await app.httpRequest().get('/api/profile').set('cookie', await signIn(USER.id)).expect(200);
    assert.deepEqual(await profile(contextFor(USER)), body);
    await assert.rejects(profile(contextFor(undefined)), { code: 'BFF_UNAUTHORIZED' });
  });

  it('order places what order.quote priced, and checks the form as the route does', async () => {
    const quoted = await quote(contextFor(USER), FORM);
    const order = await submit(contextFor(USER), FORM);
    assert.equal(order.userId, USER.id);
    assert.equal(order.totalCents, quoted.totalCents);
    await assert.rejects(submit(contextFor(USER), { ...FORM, lines: [] }), { code: 'BFF_INVALID' });
  });

  it('recommend streams as many items as were asked for', async () => {
    const items: string[] = [];
    for await (const item of recommend(contextFor(USER), 7)) items.push(item.productId);
    const { body } = await app.httpRequest().get('/api/recommendations?limit=7').set('cookie', await signIn(USER.id)).expect(200);
    assert.deepEqual(items, body.items.map((item: { productId: string }) => item.productId));
  });
});

function contextFor(user: SessionUser | undefined): FunctionContext {
  const { service } = app.createAnonymousContext();
  return { service, user, signal: new AbortController().signal } as unknown as FunctionContext;
}
