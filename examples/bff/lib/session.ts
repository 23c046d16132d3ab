/**
 * The session: a cookie that Egg signs, holding who the user is and until when.
 * This file only encodes and decodes its value, so that everything that has the
 * cookie's text (a controller, or a host that asks who calls) reads it alike.
 */

import { BffError } from './errors';

export const SESSION_COOKIE = 'bff_session';

export interface SessionUser {
  id: string;
  name: string;
}

interface SessionContent extends SessionUser {
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

export function encodeSession(user: SessionUser, expiresAt: number): string {
  const content: SessionContent = { id: user.id, name: user.name, expiresAt };
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

/**
 * Returns the user of a cookie whose signature was verified before, or `null`
 * when there is no cookie, it has expired, or an older release wrote it.
 */
export function decodeSession(value: string | null | undefined, now: number): SessionUser | null {
  if (!value) return null;
  const content = parseJson(Buffer.from(value, 'base64url').toString());
  if (!isSessionUser(content) || !('expiresAt' in content)) return null;
  if (typeof content.expiresAt !== 'number' || content.expiresAt <= now) return null;
  return { id: content.id, name: content.name };
}

export function isSessionUser(value: unknown): value is SessionUser {
  return typeof value === 'object' && value !== null
    && 'id' in value && typeof value.id === 'string'
    && 'name' in value && typeof value.name === 'string';
}

/** @throws BFF_UNAUTHORIZED when `value` is not a user */
export function requireSessionUser(value: unknown): SessionUser {
  if (!isSessionUser(value)) throw new BffError('BFF_UNAUTHORIZED', 'Sign in first: POST /api/session');
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (err) {
    if (err instanceof SyntaxError) return null;
    throw err;
  }
}
