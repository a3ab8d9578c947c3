CREATE TABLE `sessions` (
	`id_hash` text PRIMARY KEY NOT NULL,
	`deployment_id` text NOT NULL,
	`principal` text NOT NULL,
	`initialize` text NOT NULL,
	`protocol_version` text NOT NULL,
	`log_level` text,
	`subscriptions` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_used_at` integer NOT NULL,
	FOREIGN KEY (`deployment_id`) REFERENCES `deployments`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `sessions_deployment` ON `sessions` (`deployment_id`,`last_used_at`);--> statement-breakpoint
CREATE INDEX `sessions_last_used` ON `sessions` (`last_used_at`);--> statement-breakpoint
ALTER TABLE `deployments` ADD `pause_after_seconds` integer;--> statement-breakpoint
ALTER TABLE `deployments` ADD `session_idle_seconds` integer DEFAULT 600 NOT NULL;--> statement-breakpoint
ALTER TABLE `deployments` ADD `pause_at` integer;--> statement-breakpoint
CREATE INDEX `deployments_pause_at` ON `deployments` (`pause_at`);--> statement-breakpoint
CREATE INDEX `deployments_status` ON `deployments` (`status`);