/**
 * Entry of a root template: boots its program and is forked from. Templates that are forked from it, and all instances,
 * go on in this process's image.
 */
import { beTemplate } from '../fork/inside/life';
import { prepareEntropy } from '../fork/inside/restore/entropy';
import { forker } from '../fork/native';
import { CONTROL_FD } from '../fork/control';
import type { TemplateBoot } from '../fork/template';

// Before any module can take hold of what it replaces.
prepareEntropy();

const { hostPid, program, argument } = JSON.parse(process.argv[2] ?? '') as TemplateBoot;
const native = forker();
native.becomeSubreaper();
// Ctrl-C in a terminal is the host's to handle.
process.on('SIGINT', () => undefined);
void beTemplate({ program, argument }, { native, control: CONTROL_FD, host: native.openProcess(hostPid), lingers: true });
