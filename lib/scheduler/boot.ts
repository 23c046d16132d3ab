/**
 * What an instance is told at its launch, and what workers are told of it. Pure but for the tokens, which come from
 * the host's directory; in the agent.
 */
import { CartonError } from '../support/errors';
import type { HostDirectory } from '../support/host_directory';
import type { CartonConfig } from '../support/host_environment';
import { encodeClaims, type Claims } from '../protocol/claims';
import type { InstanceAddress, InstanceBoot, ServiceMock, SidecarIdentity } from '../protocol/control';
import type { FunctionSpec, Revision } from '../spec/types';

export interface BootSource {
  readonly directory: HostDirectory;
  readonly config: Pick<CartonConfig, 'agentGraceMs' | 'drainTimeoutMs'>;
  readonly revision: Revision;
  readonly mocks: readonly ServiceMock[];
  /** Whether a sidecar holds clients for it. @default false */
  readonly usesSidecars?: boolean;
}

/** Throws `CARTON_INSTANCE_LAUNCH_FAILED` where the revision has no such group. */
export function bootOf({ directory, config, revision, mocks, usesSidecars = false }: BootSource, id: string, key: string): InstanceBoot {
  const group = revision.groups.find((candidate) => candidate.key === key);
  if (group === undefined) throw new CartonError('CARTON_INSTANCE_LAUNCH_FAILED', { of: key, expected: 'a group of the revision' });
  const specs = new Map(revision.functions.map((spec) => [spec.name, spec]));
  return {
    ...addressOf(directory, id),
    revision: revision.revision,
    group,
    functions: group.functions.map((name) => specs.get(name) as FunctionSpec),
    controlToken: directory.token(`control:${id}`),
    agentGraceMs: config.agentGraceMs,
    drainTimeoutMs: config.drainTimeoutMs,
    mocks,
    ...(usesSidecars && { sidecar: identityOf(directory, { who: id, clients: group.clients ?? null }) }),
  };
}

/** As whom a process calls sidecars, and what it may use there. */
export function identityOf(directory: HostDirectory, rights: Claims): SidecarIdentity {
  const claims = encodeClaims(rights);
  return { claims, token: directory.token(`sidecar:${claims}`) };
}

/** Where an instance is and how it is called. */
export function addressOf(directory: HostDirectory, id: string): InstanceAddress {
  return {
    id,
    socketPath: directory.instanceSocket(id),
    recordPath: directory.recordPath(id),
    callToken: directory.token(`call:${id}`),
  };
}

/** What workers learn of an instance; what opens its control stays in the agent. */
export function addressOnly({ id, socketPath, recordPath, callToken }: InstanceAddress): InstanceAddress {
  return { id, socketPath, recordPath, callToken };
}
