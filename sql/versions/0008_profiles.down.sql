DROP TABLE profile_versions, profiles, installations;
