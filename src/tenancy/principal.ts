/** Who calls: a tenant, proven by one of its keys. */
export interface Principal {
  tenantId: string;
  kind: 'key';
}

/** The tenant of the service's own key. */
export const DEFAULT_TENANT_ID = 'tn_default';
