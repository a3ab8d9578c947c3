/** Nothing is sent where the client gave no token. */
export async function reportProgress(extra, report) {
  const progressToken = extra['_meta']?.progressToken;
  if (progressToken === undefined) return;
  await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, ...report } });
}

/** `data` is any JSON. */
export function log(extra, data) {
  const params = { level: 'info', logger: 'fixture', data };
  return extra.sendNotification({ method: 'notifications/message', params });
}
