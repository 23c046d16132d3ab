/**
 * Lets a function process in: the exchange of packets before the first command. It runs in sidecars.
 */
import type { Duplex } from 'node:stream';
import { CartonError } from '../../../../lib/support/errors';
import { LIMITS } from '../../../../lib/support/limits';
import { HEADER_BYTES, STATUS, errorPacket, okPacket } from './protocol';
import { greetingPacket, isProven, newChallenge, readLogin, switchPacket, type Login, type ServerFacts } from './handshake';

export interface Host {
  readonly facts: ServerFacts;
  /** The number that the connection goes by. */
  readonly threadId: number;
  readonly passwordOf: (user: string) => string | undefined;
  /** Where connections to the database begin. */
  readonly database: unknown;
}

/** Rejects with what the client was told, where it could be told. */
export async function login(socket: Duplex, host: Host): Promise<Login> {
  const challenge = newChallenge();
  let sequence = 0;
  const answer = async (bytes: Buffer): Promise<Buffer> => {
    socket.write(bytes);
    const payload = await nextPacket(socket, sequence + 1);
    sequence += 2;
    return payload;
  };
  try {
    if (socket.destroyed) throw new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { got: 'a connection that ended before its handshake' });
    const asked = readLogin(await answer(greetingPacket(host.facts, host.threadId, challenge)), host.facts);
    const again = switchPacket(asked, sequence, challenge);
    const proof = again === undefined ? asked.proof : await answer(again);
    check(asked, proof, { host, challenge });
    socket.write(okPacket(sequence, STATUS.autocommit));
    return asked;
  } catch (error) {
    if (error instanceof CartonError && !socket.destroyed) socket.write(errorPacket(sequence, error));
    throw error;
  }
}

function check({ user, database }: Login, proof: Buffer, { host, challenge }: { host: Host; challenge: Buffer }): void {
  const password = host.passwordOf(user);
  const of = `user ${JSON.stringify(user.slice(0, 100))}`;
  if (password === undefined || !isProven(proof, password, challenge)) throw new CartonError('CARTON_SIDECAR_WIRE_REFUSED', { of, got: password === undefined ? 'a user that is not known' : 'another password' });
  if (database !== undefined && database !== '' && database !== host.database) throw new CartonError('CARTON_SIDECAR_WIRE_REFUSED', { of, expected: `database ${JSON.stringify(host.database ?? null)}`, got: JSON.stringify(database.slice(0, 100)) });
}

/** The payload of the next packet; what comes behind it stays in the socket. */
function nextPacket(socket: Duplex, sequence: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const end = (error: CartonError | undefined): void => {
      socket.off('data', onData).off('close', onClose).off('error', onClose).off('end', onClose).pause();
      if (error !== undefined) reject(error);
    };
    const onClose = (): void => end(new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { got: 'a connection that ended in its handshake' }));
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < HEADER_BYTES) return;
      const size = HEADER_BYTES + bytes.readUIntLE(0, 3);
      if (size > LIMITS.wireHandshakeBytes || bytes[3] !== sequence) return end(new CartonError('CARTON_SIDECAR_WIRE_PROTOCOL', { expected: `packet ${sequence} with ${LIMITS.wireHandshakeBytes} bytes at most`, got: `packet ${String(bytes[3])} with ${size}` }));
      if (bytes.length < size) return;
      end(undefined);
      if (bytes.length > size) socket.unshift(bytes.subarray(size));
      resolve(bytes.subarray(HEADER_BYTES, size));
    };
    socket.on('data', onData).on('close', onClose).on('error', onClose).on('end', onClose).resume();
  });
}
