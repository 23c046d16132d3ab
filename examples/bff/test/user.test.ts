/** Profiles and the list of users. */

import assert from 'node:assert/strict';
import { app } from 'egg-mock/bootstrap';
import { breakUpstream, mendUpstream, signIn } from './support';

describe('the user API', () => {
  afterEach(mendUpstream);

  it('refuses everyone who is not signed in', async () => {
    for (const path of ['/api/profile', '/api/users', '/api/users/u01']) {
      const { body } = await app.httpRequest().get(path).expect(401);
      assert.equal(body.error.code, 'BFF_UNAUTHORIZED');
    }
  });

  it('joins the profile with orders and recommendations', async () => {
    const { body } = await app.httpRequest().get('/api/profile').set('cookie', await signIn('u05')).expect(200);
    assert.equal(body.user.email, 'user05@example.com');
    assert.deepEqual(body.orders, []);
    assert.equal(body.recommendations.length, 3);
  });

  it('shows a profile without recommendations when they fail', async () => {
    const cookie = await signIn('u05');
    await breakUpstream('recommendations', { status: 500 });
    const { body } = await app.httpRequest().get('/api/profile').set('cookie', cookie).expect(200);
    assert.equal(body.recommendations, null);
  });

  it('changes the given fields of the own profile only', async () => {
    const cookie = await signIn('u06');
    const { body } = await app.httpRequest().put('/api/profile').set('cookie', cookie).send({ city: ' beijing ' }).expect(200);
    assert.equal(body.city, 'beijing');
    assert.equal(body.name, 'User 06');
    const read = await app.httpRequest().get('/api/users/u06').set('cookie', cookie).expect(200);
    assert.deepEqual(read.body, body);
  });

  it('refuses an update that is empty or has a bad address', async () => {
    const cookie = await signIn('u06');
    await app.httpRequest().put('/api/profile').set('cookie', cookie).send({}).expect(422);
    const { body } = await app.httpRequest().put('/api/profile').set('cookie', cookie).send({ email: 'nobody' }).expect(422);
    assert.equal(body.error.problems[0].field, 'email');
  });

  it('lists users page by page', async () => {
    const { body } = await app.httpRequest().get('/api/users?page=3&size=10').set('cookie', await signIn()).expect(200);
    assert.equal(body.total, 25);
    assert.deepEqual(body.items.map((user: { id: string }) => user.id), ['u21', 'u22', 'u23', 'u24', 'u25']);
  });

  it('answers 404 for a user who does not exist', async () => {
    await app.httpRequest().get('/api/users/u99').set('cookie', await signIn()).expect(404);
  });
});
