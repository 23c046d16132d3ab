/**
 * The functions as the host serves them, for a run with the plugin enabled
 * (EGG_SERVER_SCOPE=carton): by their own addresses, with the session's user.
 */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { signIn } from './support';

const ENABLED = process.env['EGG_SERVER_SCOPE'] === 'carton';

(ENABLED ? describe : describe.skip)('the hosted functions', () => {
  it('home answers at both of its addresses what GET /api/home answers', async () => {
    const { body } = await app.httpRequest().get('/api/home?city=beijing').expect(200);
    const called = await app.httpRequest().post('/oneapi/home').send(['beijing']).expect(200);
    const fetched = await app.httpRequest().get('/fn/home?city=beijing').expect(200);
    assert.deepEqual(called.body, body);
    assert.deepEqual(fetched.body, body);
  });

  it('user/profile takes the user from the session cookie, and wants one', async () => {
    const cookie = await signIn('u10');
    const { body } = await app.httpRequest().get('/api/profile').set('cookie', cookie).expect(200);
    const called = await app.httpRequest().post('/oneapi/user/profile').set('cookie', cookie).send([]).expect(200);
    assert.deepEqual(called.body, body);
    const refused = await app.httpRequest().post('/oneapi/user/profile').send([]).expect(401);
    assert.equal(refused.body.error.code, 'CARTON_INGRESS_USER_REQUIRED');
  });

  it('order answers with the application’s own error for a form that is not valid', async () => {
    const cookie = await signIn('u10');
    const answer = await app.httpRequest().post('/fn/orders').set('cookie', cookie).send({ lines: [] });
    assert.equal(answer.body.error.code, 'CARTON_RUNTIME_FUNCTION_THREW');
    assert.equal(answer.body.error.function.code, 'BFF_INVALID');
  });

  it('recommend streams a line an item, and its end', async () => {
    const answer = await app.httpRequest().get('/fn/recommendations?limit=3').expect(200).expect('content-type', /ndjson/);
    const lines = answer.text.trim().split('\n').map((line) => JSON.parse(line) as object);
    assert.equal(lines.length, 4);
    assert.deepEqual(lines.at(-1), { end: true });
  });
});
