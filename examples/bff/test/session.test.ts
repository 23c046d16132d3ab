/** Signing in and out, and the cookie behind it. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { decodeSession, encodeSession } from '../lib/session';
import { signIn } from './support';

describe('the session', () => {
  it('lasts from signing in to signing out', async () => {
    const cookie = await signIn('u03');
    await app.httpRequest().get('/api/session').set('cookie', cookie).expect(200, { user: { id: 'u03', name: 'User 03' } });
    const response = await app.httpRequest().delete('/api/session').set('cookie', cookie).expect(204);
    assert.match(String(response.headers['set-cookie']), /bff_session=;.*expires=Thu, 01 Jan 1970/);
  });

  it('refuses a wrong password with 401 and sets no cookie', async () => {
    app.mockCsrf();
    const response = await app.httpRequest().post('/api/session').send({ userId: 'u03', password: 'wrong' }).expect(401);
    assert.equal(response.body.error.code, 'BFF_UNAUTHORIZED');
    assert.doesNotMatch(String(response.headers['set-cookie']), /bff_session/);
  });

  it('names every field that a login form lacks', async () => {
    app.mockCsrf();
    const { body } = await app.httpRequest().post('/api/session').send({}).expect(422);
    assert.deepEqual(body.error.problems.map((problem: { field: string }) => problem.field), ['userId', 'password']);
  });

  it('takes a cookie whose signature does not match for no cookie', async () => {
    const forged = encodeSession({ id: 'u04', name: 'Mallory' }, Date.now() + 60_000);
    const signature = /bff_session\.sig=[^;]+/.exec(await signIn('u03'))?.[0];
    await app.httpRequest().get('/api/session').set('cookie', `bff_session=${forged}; ${signature}`).expect(200, { user: null });
  });

  it('ends when it expires', () => {
    const value = encodeSession({ id: 'u01', name: 'User 01' }, 1000);
    assert.deepEqual(decodeSession(value, 999), { id: 'u01', name: 'User 01' });
    assert.equal(decodeSession(value, 1000), null);
    assert.equal(decodeSession('not-a-session', 0), null);
    assert.equal(decodeSession(undefined, 0), null);
  });
});
