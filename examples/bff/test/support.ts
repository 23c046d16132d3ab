/** What the tests share: signing in, and asking the upstream stub for faults. */

import { app } from 'egg-mock/bootstrap';
import { STUB_PASSWORD } from '../upstream/data';

/** Signs in over HTTP and returns the `cookie` header of that session. */
export async function signIn(userId = 'u01'): Promise<string> {
  app.mockCsrf();
  const response = await app.httpRequest()
    .post('/api/session')
    .send({ userId, password: STUB_PASSWORD })
    .expect(201);
  const cookies = response.headers['set-cookie'] as unknown as string[];
  return cookies.map(cookie => cookie.split(';')[0]).join('; ');
}

export async function breakUpstream(service: string, fault: { status?: number; delayMs?: number }): Promise<void> {
  await control(`/faults/${service}`, 'PUT', JSON.stringify(fault));
}

export async function mendUpstream(): Promise<void> {
  await control('/faults', 'DELETE');
}

async function control(path: string, method: string, body?: string): Promise<void> {
  const response = await fetch(`${process.env.BFF_UPSTREAM}${path}`, { method, body });
  if (!response.ok) throw new Error(`the upstream stub answered ${response.status} to ${method} ${path}`);
}
