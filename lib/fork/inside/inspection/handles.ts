/**
 * Node's handles behind descriptors: which one holds a descriptor, what it is called for people, and which object of
 * the public API stands before it. Runs in templates.
 */
import { Socket } from 'node:net';
import type { Opened, Origins } from '../origins';

interface Handle {
  readonly fd?: number;
  readonly _parent?: object;
  getsockname?(out: Address): number;
  getpeername?(out: Address): number;
}

interface Address {
  address?: string;
  port?: number;
}

export interface OpenSocket {
  readonly socket: Socket;
  readonly origin: Opened;
  readonly fd: number;
}

/** Types of handles that may be behind a descriptor of the kernel's kind `socket`. */
const SOCKETS = ['TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP', 'PIPESERVERWRAP', 'UDPWRAP'];

/** The handle that holds each descriptor, for sockets and terminals that were opened while origins were noted. */
export function handlesByDescriptor(origins: Origins): Map<number, Opened> {
  const handles = new Map<number, Opened>();
  for (const opened of origins.opened(...SOCKETS, 'TTYWRAP')) {
    const fd = (opened.resource as Handle).fd;
    if (fd !== undefined && fd >= 0) handles.set(fd, opened);
  }
  return handles;
}

/** Open connections of `node:net` and `node:tls`, with their descriptors. */
export function openSockets(origins: Origins): OpenSocket[] {
  // Over TLS the public object stands before the handle of TLS, which stands before that of TCP.
  const secured = new Map(origins.opened('TLSWRAP').map(({ resource }) => [(resource as Handle)._parent, resource]));
  return [...handlesByDescriptor(origins)].flatMap(([fd, origin]) => {
    const socket = publicObject(origin.resource) ?? publicObject(secured.get(origin.resource) ?? {});
    return socket instanceof Socket ? [{ socket, origin, fd }] : [];
  });
}

/** What of Node's public API a handle belongs to; Node keeps it under a symbol of this name. */
export function publicObject(handle: object): unknown {
  const symbol = Object.getOwnPropertySymbols(handle).find(({ description }) => description === 'owner_symbol');
  return symbol === undefined ? undefined : (handle as Record<symbol, unknown>)[symbol];
}

/** For people, such as `a TCP connection to 127.0.0.1:3306`. */
export function describeHandle({ type, resource }: Opened): string {
  const handle = resource as Handle;
  switch (type) {
    case 'TCPSERVERWRAP':
      return `a TCP server${at(' on ', nameOf(handle, 'getsockname'))}`;
    case 'TCPWRAP': {
      const isAccepted = (publicObject(handle) as { server?: object | null } | undefined)?.server != null;
      return `a TCP connection${at(isAccepted ? ' from ' : ' to ', nameOf(handle, 'getpeername'))}`;
    }
    case 'UDPWRAP':
      return `a UDP socket${at(' on ', nameOf(handle, 'getsockname'))}`;
    case 'PIPESERVERWRAP':
      return `a unix server${at(' on ', (publicObject(handle) as { _pipeName?: string } | undefined)?._pipeName)}`;
    default:
      return 'a unix socket or pipe';
  }
}

function at(preposition: string, name: string | undefined): string {
  return name === undefined ? '' : `${preposition}${name}`;
}

/** Undefined while there is no such end. */
function nameOf(handle: Handle, end: 'getsockname' | 'getpeername'): string | undefined {
  const out: Address = {};
  if (handle[end]?.(out) !== 0 || out.address === undefined) return undefined;
  return out.address.includes(':') ? `[${out.address}]:${out.port}` : `${out.address}:${out.port}`;
}
