/**
 * Loaded under EGG_SERVER_SCOPE=carton only: what the function host needs to know of
 * this application, which is who calls. It reads the session cookie as
 * `ctx.currentUser` does.
 */

import { decodeSession, SESSION_COOKIE, type SessionUser } from '../lib/session';

interface CallerRequest {
  headers: Record<string, string | string[] | undefined>;
  cookies: { get(name: string, options?: { signed?: boolean; encrypt?: boolean }): string | undefined };
  peer: { address?: string };
}

export default {
  carton: {
    resolveUser(request: CallerRequest): SessionUser | null {
      return decodeSession(request.cookies.get(SESSION_COOKIE, { signed: true }), Date.now());
    },
    // It only reads, and on its way it does what most functions do: call upstream services.
    snapshot: { warmUps: [{ function: 'home', args: [] }] },
  },
};
