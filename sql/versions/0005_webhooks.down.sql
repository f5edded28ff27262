DROP FUNCTION prune_deliveries(interval, integer);
DROP TRIGGER tell_of_deletion ON documents;
DROP TRIGGER tell_of_creation ON documents;
DROP TRIGGER follow_delivery ON jobs;
DROP TRIGGER tell_of_end ON jobs;
DROP FUNCTION follow_webhook_job(), tell_of_document(), tell_of_job(), tell_webhooks(uuid, uuid, text, jsonb),
    queue_webhook(uuid, uuid, uuid), time_ordered_id();
DROP TABLE webhook_attempts, webhook_deliveries, webhook_endpoints;
-- No worker of the version before knows this kind: its jobs would fail, each of them.
DELETE FROM jobs WHERE kind = 'webhook.deliver';
