-- Cancelled deliveries are few among many that were delivered, and may be asked for alone.
CREATE INDEX cancelled_by_tenant ON finished_delivery (tenant_id, delivery_id)
    WHERE status = 'cancelled';
CREATE INDEX cancelled_by_subscription ON finished_delivery (subscription_id, delivery_id)
    WHERE status = 'cancelled';
