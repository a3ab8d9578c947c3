CREATE TABLE `deployments` (
	`id` text PRIMARY KEY NOT NULL,
	`tenant_id` text NOT NULL,
	`name` text,
	`image` text NOT NULL,
	`args` text,
	`env` text NOT NULL,
	`transport` text NOT NULL,
	`max_memory_mb` integer NOT NULL,
	`max_cpus` real NOT NULL,
	`max_pids` integer NOT NULL,
	`max_disk_mb` integer NOT NULL,
	`delete_after_seconds` integer,
	`metadata` text NOT NULL,
	`session_mode` text NOT NULL,
	`max_sessions` integer NOT NULL,
	`warm_processes` integer NOT NULL,
	`start_timeout_seconds` integer NOT NULL,
	`access` text NOT NULL,
	`access_token_hash` text NOT NULL,
	`uid` integer NOT NULL,
	`subnet_address` integer NOT NULL,
	`status` text NOT NULL,
	`reason_code` text NOT NULL,
	`reason_message` text NOT NULL,
	`reason_at` integer NOT NULL,
	`revision` integer NOT NULL,
	`has_remains` integer NOT NULL,
	`container_id` text,
	`runtime` text,
	`network_name` text,
	`image_id` text,
	`has_account` integer NOT NULL,
	`created_at` integer NOT NULL,
	`last_activity_at` integer NOT NULL,
	`delete_at` integer,
	FOREIGN KEY (`tenant_id`) REFERENCES `tenants`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `deployments_uid` ON `deployments` (`uid`);--> statement-breakpoint
CREATE UNIQUE INDEX `deployments_subnet` ON `deployments` (`subnet_address`);--> statement-breakpoint
CREATE INDEX `deployments_page` ON `deployments` (`tenant_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `deployments_delete_at` ON `deployments` (`delete_at`);--> statement-breakpoint
CREATE TABLE `tenants` (
	`id` text PRIMARY KEY NOT NULL,
	`created_at` integer NOT NULL
);
