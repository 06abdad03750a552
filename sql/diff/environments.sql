-- The configuration that all slots of a container share.
--
-- in:   run of one repository, plan.containers (keys to look at)
-- out:  one row per container
-- key:  key
SELECT a.key, coalesce(a.environment, '') AS environment
FROM {{ relation }} AS a
JOIN plan.containers AS c ON c.key = a.key
