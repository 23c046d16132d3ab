/**
 * What this application adds to Egg's context: who is signed in. Only code with
 * an HTTP request at hand uses it; services get the user as an argument.
 */

import type { Context } from 'egg';
import { decodeSession, encodeSession, requireSessionUser, SESSION_COOKIE, type SessionUser } from '../../lib/session';

declare module 'egg' {
  interface Context<ResponseBodyT> {
    /** The user of the session cookie, or `null`. */
    readonly currentUser: SessionUser | null;
    /** @throws BFF_UNAUTHORIZED when nobody is signed in */
    requireUser(): SessionUser;
    signIn(user: SessionUser): void;
    signOut(): void;
  }
}

export default {
  get currentUser(): SessionUser | null {
    const ctx = this as unknown as Context;
    return decodeSession(ctx.cookies.get(SESSION_COOKIE, { signed: true }), Date.now());
  },

  requireUser(this: Context): SessionUser {
    return requireSessionUser(this.currentUser);
  },

  signIn(this: Context, user: SessionUser): void {
    const maxAge = this.app.config.bff.sessionMaxAgeMs;
    const value = encodeSession(user, Date.now() + maxAge);
    this.cookies.set(SESSION_COOKIE, value, { signed: true, httpOnly: true, sameSite: 'lax', maxAge });
  },

  signOut(this: Context): void {
    this.cookies.set(SESSION_COOKIE, null, { signed: true, httpOnly: true, sameSite: 'lax' });
  },
};
