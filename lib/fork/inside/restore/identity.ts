import { readlinkSync } from 'node:fs';
export function restoreIdentity(): void { Object.defineProperty(process, 'pid', { value: Number(readlinkSync('/proc/self')), configurable: true, enumerable: true, writable: false }); }
