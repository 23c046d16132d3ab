import type { Forker } from '../../native';
export function takeOverExits(native: Forker): void { (process as unknown as { reallyExit: (code: number) => void }).reallyExit = (code) => native.exit(code); }
