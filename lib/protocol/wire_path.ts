/**
 * Where a sidecar listens for drivers of databases: beside its own socket, one socket for each connection in the settings
 * of an ORM. Pure; sidecars and function processes come to the same paths.
 */
import { createHash } from 'node:crypto';

/** Digits that tell them apart: a sidecar has a few. */
const DIGITS = 3;

/** `id`: of a connection of the client, see `lib/spec/database_connections.ts`. */
export function wirePath(sidecarSocket: string, client: string, id: string): string {
  const hash = createHash('sha256').update(`${client}/${id}`).digest('hex').slice(0, DIGITS);
  return sidecarSocket.replace(/\.sock$/, `-${hash}.sock`);
}
